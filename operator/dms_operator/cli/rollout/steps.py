"""What a person can do next, as command lines."""

from collections.abc import Iterator
from dataclasses import dataclass

from dms_operator.api.labels import HOLD
from dms_operator.api.rollout_status import RolloutStatus
from dms_operator.controller.rollout.pauses import BACKWARD, FORWARD
from dms_operator.controller.rollout.verdict import NEEDS_A_PERSON

from .vehicles import VehicleLine


@dataclass(frozen=True)
class Step:
    """A command, and what it does."""

    command: str
    does: str


def next_steps(
    name: str, status: RolloutStatus, vehicles: list[VehicleLine], options: str = "", *, suspended: bool = False
) -> list[Step]:
    """The commands that would not be refused, the likeliest first. `options`: what leads them to the deployment."""
    wanted = [(verb, does) for holds, verb, does in _verbs(status, suspended) if holds]
    held = next((each.name for each in vehicles if each.group == "held"), None)
    release = Step(f"kubectl annotate node {held} {HOLD}-", "hold it no more (or take off its label, or uncordon it)")
    steps = [Step(f"kubectl dms rollout {verb} {name}{options}", does) for verb, does in wanted]
    return [*steps, release] if held else steps


def _verbs(status: RolloutStatus, suspended: bool) -> Iterator[tuple[bool, str, str]]:
    """Each verb of `dms rollout`, whether it fits, and what it does here."""
    reasons = {pause.reason for pause in status.pauses}
    forward, back = status.state in FORWARD, status.state in BACKWARD
    left, stuck = status.vehicles.updated, bool(status.vehicles.failed or reasons & set(NEEDS_A_PERSON))
    target = f"bring {status.completed} back" if status.completed else "take the model off"
    yield suspended, "resume", "go on"
    yield "ApprovalRequired" in reasons, "approve", f"let wave {status.wave} start"
    yield back, "retry", f"roll {status.revision} out again, from its first wave"
    yield back and left > 0, "retry --rollback", f"try again to take it from the {left} that still run it"
    yield stuck and not back, "retry", "try once more what failed"
    yield forward and status.completed != status.revision, "abort", f"{target} where {status.revision} may run"
    yield forward and not suspended, "pause", "start nothing more"
