"""The way back: every vehicle that a refused revision may run on gets what ran before, or nothing."""

from collections.abc import Collection, Iterator

from ...api.rollout_status import Release, TargetRelease
from .fleet import Vehicle
from .goals import Goal
from .ledger import Ledger
from .naming import is_of, names_on_vehicles
from .scene import Scene


def ways_back(scene: Scene, refused: Collection[str]) -> Iterator[Goal]:
    """What the vehicles that may run a refused revision shall run, chosen by the spec or not; held ones are left alone.

    While the fleet goes on to another revision, too: nobody who comes back late keeps what was taken back.
    """
    if not refused:
        return
    targets = {member.name: member.target.name for member in scene.members}
    names = names_on_vehicles(scene.completed) if scene.completed else {}
    for vehicle in scene.fleet.vehicles:
        runs = _refused_one(vehicle, scene.ledger, refused)
        if runs is None or vehicle.held:
            continue
        before = _release(scene.completed, vehicle, targets.get(vehicle.name)) if scene.completed else None
        if before is not None:
            yield Goal(vehicle, names[before.target], before)
        elif (mine := _release(scene.release, vehicle, targets.get(vehicle.name))) is not None:
            yield Goal(vehicle, runs, mine, removes=True)


def _refused_one(vehicle: Vehicle, ledger: Ledger, refused: Collection[str]) -> str | None:
    """Name of the refused revision that a vehicle runs, or that a Job may have switched it to; None for none."""
    runs = ledger.runs(vehicle.name, vehicle.revision)
    if is_of(runs, refused):
        return runs
    if vehicle.name not in ledger.by_node or ledger.has_switched(vehicle.name):
        return None
    tried = (job.revision for job in ledger.by_node[vehicle.name] if job.stage == "activate")
    return next((name for name in tried if is_of(name, refused)), None)


def _release(release: Release, vehicle: Vehicle, target: str | None) -> TargetRelease | None:
    fitting = [each for each in release.targets if each.board == vehicle.board]
    return next((each for each in fitting if each.target == target), fitting[0] if fitting else None)
