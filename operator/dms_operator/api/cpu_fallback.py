"""Target option `allow-cpu-fallback`: how many of a model's nodes may run on the CPU instead of the NPU."""

import re

from .errors import InvalidSpec

ALLOW_CPU_FALLBACK = "allow-cpu-fallback"
TAKES = "true, false, or a share of the nodes such as 5%"
PATTERN = "true|false|100%|[0-9]{1,2}([.][0-9]+)?%"
PROBLEM = f"option {ALLOW_CPU_FALLBACK} needs {TAKES}"


def accepted_share(value: str) -> float:
    """The share of nodes, 0 to 1. Raises InvalidSpec with what to write instead."""
    if not re.fullmatch(PATTERN, value, re.ASCII):
        raise InvalidSpec(f"option {ALLOW_CPU_FALLBACK} is {value!r}", hint=f"Write {TAKES}")
    return float(value[:-1]) / 100 if value.endswith("%") else float(value == "true")
