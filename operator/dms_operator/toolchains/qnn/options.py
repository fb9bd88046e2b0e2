"""The options that a user may give toolchain qnn in a target."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...api.errors import InvalidSpec
from .delegation import ALLOW_CPU_FALLBACK

OPTIMIZATION = "graph-optimization"
"""Effort of the HTP's graph preparation, 1 to 3 (QNN: htp_graph_finalization_optimization_mode)."""

_VALUES = {ALLOW_CPU_FALLBACK: ("false", "true"), OPTIMIZATION: ("3", "2", "1")}


@dataclass(frozen=True)
class QnnOptions:
    """Checked options."""

    allow_cpu: bool
    optimization: str


def parse_options(options: Mapping[str, str]) -> QnnOptions:
    """Check the options and fill in the defaults (the first of each row). Raises InvalidSpec."""
    for key, value in options.items():
        if key not in _VALUES:
            raise InvalidSpec(f"toolchain qnn has no option {key!r}", hint=f"It knows {', '.join(_VALUES)}")
        if value not in _VALUES[key]:
            raise InvalidSpec(f"option {key} is {value!r}", hint=f"Write one of {', '.join(_VALUES[key])}")
    chosen = {key: options.get(key, values[0]) for key, values in _VALUES.items()}
    return QnnOptions(chosen[ALLOW_CPU_FALLBACK] == "true", chosen[OPTIMIZATION])
