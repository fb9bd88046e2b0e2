"""The way back: every vehicle that the revision may run on gets what ran before, or nothing."""

from collections.abc import Iterator

from ...api.rollout_status import Release, TargetRelease
from .fleet import Vehicle
from .goals import Goal
from .ledger import Ledger
from .scene import Scene


def affected(scene: Scene) -> list[Vehicle]:
    """Vehicles that run the revision, or on which a Job may have switched to it. Chosen by the spec or not."""
    return [vehicle for vehicle in scene.fleet.vehicles if _is_affected(vehicle, scene.ledger, scene.revision)]


def _is_affected(vehicle: Vehicle, ledger: Ledger, revision: str) -> bool:
    if ledger.runs(vehicle.name, vehicle.revision) == revision:
        return True
    if vehicle.name not in ledger.by_node:
        return False
    tried = any((job.stage, job.revision) == ("activate", revision) for job in ledger.by_node[vehicle.name])
    return tried and not ledger.has_switched(vehicle.name)


def ways_back(scene: Scene) -> Iterator[Goal]:
    """What the affected vehicles shall run; a held one is left alone."""
    names = {member.name: member.target.name for member in scene.members}
    for vehicle in affected(scene):
        if vehicle.held:
            continue
        before = _release(scene.fallback, vehicle, names.get(vehicle.name)) if scene.fallback else None
        if before is not None and scene.fallback is not None:
            yield Goal(vehicle, scene.fallback.revision, before)
        elif (mine := _release(scene.release, vehicle, names.get(vehicle.name))) is not None:
            yield Goal(vehicle, scene.revision, mine, removes=True)


def _release(release: Release, vehicle: Vehicle, target: str | None) -> TargetRelease | None:
    fitting = [each for each in release.targets if each.board == vehicle.board]
    return next((each for each in fitting if each.target == target), fitting[0] if fitting else None)
