"""Whether a wave is going forward, and whose fault it is if it is not."""

from collections.abc import Iterator

from ...api.rollout_status import RolloutStatus
from .choice import Choice
from .goals import goals_of, starts
from .ledger import has_succeeded, is_living
from .members import Member
from .scene import Scene


def has_moved(status: RolloutStatus, choice: Choice) -> bool:
    """Whether vehicles were updated or failed since the last look."""
    return (status.vehicles.updated, status.vehicles.failed) != (len(choice.updated), len(choice.failed))


def can_move(scene: Scene, choice: Choice) -> bool:
    """Whether there is something to do at once for a vehicle that is here: nobody but the operator is waited for."""
    if any(_has_ended(scene, member) for member in _here(choice)):
        return True
    return next(starts(goals_of(choice.chosen, scene.release), scene.ledger, scene.slots, scene.now), None) is not None


def absent(scene: Scene, choice: Choice) -> list[str]:
    """Vehicles that are away and that alone the wave waits for: nothing is done on any vehicle that is here."""
    away = [member.name for member in choice.chosen if member.vehicle.away_since is not None]
    holders = [name for name in scene.ledger.by_node if _holds_slot_away(scene, name)]
    waited_for = list(dict.fromkeys([*holders, *away]))
    if not waited_for or any(_works(scene, member) for member in _here(choice)) or can_move(scene, choice):
        return []
    return waited_for


def _here(choice: Choice) -> Iterator[Member]:
    return (member for member in choice.chosen if member.vehicle.away_since is None)


def _has_ended(scene: Scene, member: Member) -> bool:
    """Whether a Job on a vehicle has ended that something follows, other than a prefetch that waits for its slot."""
    jobs = scene.ledger.jobs(member.name)
    return any(not is_living(job) and not (job.stage == "prefetch" and has_succeeded(job)) for job in jobs)


def _works(scene: Scene, member: Member) -> bool:
    return any(is_living(job) for job in scene.ledger.by_node.get(member.name, ()))


def _holds_slot_away(scene: Scene, name: str) -> bool:
    vehicle = scene.vehicles.get(name)
    away = vehicle is not None and vehicle.away_since is not None
    return away and name not in scene.slots.released and scene.ledger.is_switching(name)
