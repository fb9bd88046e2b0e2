"""What people do to a deployment meanwhile: they edit its spec, suspend and resume it, ask for a retry."""

import random
from typing import Any

from dms_operator.api.labels import RETRY

Patch = dict[str, Any]

BASE: Patch = {
    "benchmark": None,
    "quantization": None,
    "suspend": None,
    "dataset": {"uri": "file:///data/dms.npz", "evaluationSamples": None},
}
"""Takes every edit back, by a merge patch."""

IMPOSSIBLE: Patch = {"benchmark": {"latencyBudget": "0.1ms"}}
"""A budget that the fake stage's 0.43 ms do not meet: such a deployment has to fail, whatever happens."""

_SPECS: dict[str, Patch] = {
    "budget edited": {"benchmark": {"latencyBudget": "40ms"}},
    "calibration edited": {"quantization": {"calibration": "entropy"}},
    "dataset edited": {"dataset": {"evaluationSamples": 500}},
    "suspended": {"suspend": True},
    "resumed": {"suspend": False},
}


def draw_edit(dice: random.Random) -> tuple[str, Patch]:
    """The name of an edit, and its merge patch."""
    name = dice.choice([*_SPECS, "retry asked for"])
    if name in _SPECS:
        return name, {"spec": _SPECS[name]}
    return name, {"metadata": {"annotations": {RETRY: f"try-{dice.randrange(1000)}"}}}


def base_spec(number: int) -> Patch:
    """The merge patch that takes all edits of a deployment back."""
    return {"spec": {**BASE, **(IMPOSSIBLE if is_impossible(number) else {})}}


def is_impossible(number: int) -> bool:
    """Every third deployment asks for what cannot be had."""
    return number % 3 == 2
