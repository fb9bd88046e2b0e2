"""When to look at a rollout again though nothing is reported: a soak ends, a window opens, a deadline passes."""

from collections.abc import Iterator

from ...api.rollout_status import RolloutStatus
from ..text import parse_timestamp
from .gates import soak_end
from .ledger import is_unanswered
from .pauses import overdue_at
from .scene import Scene
from .windows import changes_after


def next_look(scene: Scene, status: RolloutStatus) -> float | None:
    """Seconds until then; None when only what is reported can change anything."""
    return min((wait for wait in _waits(scene, status) if wait > 0), default=None)


def _waits(scene: Scene, status: RolloutStatus) -> Iterator[float]:
    if status.state == "Soaking" and status.reached_at:
        end = soak_end(scene.rollout, scene.wave(status), parse_timestamp(status.reached_at))
        yield (end - scene.now).total_seconds()
        yield from (gate.interval.value for gate in scene.rollout.gates)
    if (change := changes_after(scene.rollout.window, scene.now)) is not None:
        yield change
    if (deadline := overdue_at(scene, status)) is not None:
        yield (deadline - scene.now).total_seconds()
    for vehicle in scene.fleet.vehicles:
        if vehicle.away_since is not None:
            yield scene.rollout.offline_policy.grace.value - (scene.now - vehicle.away_since).total_seconds()
        if (since := scene.stuck_since(vehicle)) is not None:
            yield scene.rollout.progress_deadline.value - (scene.now - since).total_seconds()
    for jobs in scene.ledger.by_node.values():
        yield from (job.answer_grace(scene.now) for job in jobs if is_unanswered(job))
