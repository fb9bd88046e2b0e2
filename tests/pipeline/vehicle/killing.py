"""Kills a stage before its n-th change of a vehicle's disk, runs it again, and tells what was found each time.

A program of its own, because it forks: the tests' process has loaded runtimes with threads.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dms_operator.api.errors import DMSError
from dms_operator.api.vehicle import ActivateRecipe
from dms_operator.artifacts.signing import Keys
from dms_operator.pipeline.vehicle import durable
from dms_operator.pipeline.vehicle.revision import verify
from pipeline.vehicle.disk import Release, Vehicle

CHANGES = ("mkdir", "rename", "replace", "symlink", "link", "unlink", "rmdir", "fsync")


@dataclass(frozen=True)
class Storm:
    """A vehicle that runs `old`, and the stage that brings it to `new` (deactivate: takes `old` away)."""

    vehicle: dict[str, str]
    old: Release
    new: Release
    stage: str
    then: str
    """What runs after the kill: the stage again, `rollback` to the old revision, or `deactivate`."""
    step: int = 1
    """Every how manieth change is looked at."""


@dataclass(frozen=True)
class Found:
    """One kill."""

    change: int
    killed: bool
    current: str | None
    """Right after the kill."""
    whole: bool
    """Whether `current` was verified right after the kill, or there was none."""
    failure: Any
    """Of what ran then."""
    at_last: str | None
    left: list[str]
    """What the deployment's folder holds at last."""
    revisions: list[str]


def storm(wanted: Storm, directory: Path) -> list[Found]:
    """Run the program until the stage is done before it can be killed; the last one found is that run."""
    request = directory / "storm.json"
    request.write_text(json.dumps(asdict(wanted)))
    command = [sys.executable, "-m", "pipeline.vehicle.killing", str(request)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["operator", "tests"])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [Found(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]


def _main(request: Path) -> None:
    fields = json.loads(request.read_text())
    wanted = Storm(**fields | {name: Release(**fields[name]) for name in ("old", "new")})
    for found in _kills(wanted, request.parent):
        print(json.dumps(asdict(found)), flush=True)


def _kills(wanted: Storm, directory: Path) -> Iterator[Found]:
    template = Path(wanted.vehicle["fleet"])
    for change in itertools.count(1, wanted.step):
        fleet = directory / f"fleet-{change}"
        shutil.copytree(template, fleet, symlinks=True)
        os.environ["DMS_FLEET_FOLDER"] = str(fleet)
        vehicle = Vehicle(wanted.vehicle["store"], fleet, directory)
        stage = _actions(vehicle, wanted)[wanted.stage]
        killed = _in_fork(partial(_killed_before, change, stage)) == -signal.SIGKILL
        current, whole = vehicle.current, _is_whole(vehicle, wanted)
        result = _actions(vehicle, wanted)[wanted.then]()
        there = vehicle.folder.is_dir()
        yield Found(
            change,
            killed,
            current,
            whole,
            result.failure and result.failure.to_wire(),
            vehicle.current,
            sorted(entry.name for entry in vehicle.folder.iterdir()) if there else [],
            sorted(vehicle.revisions) if there else [],
        )
        shutil.rmtree(fleet)
        if not killed:
            return


def _actions(vehicle: Vehicle, wanted: Storm) -> dict[str, Callable[[], Any]]:
    return {
        "prefetch": lambda: vehicle.prefetch(wanted.new),
        "activate": lambda: vehicle.activate(wanted.new),
        "rollback": lambda: vehicle.activate(wanted.old),
        "deactivate": lambda: vehicle.deactivate(wanted.old.revision),
    }


def _in_fork(action: Callable[[], Any]) -> int:
    child = os.fork()
    if child == 0:
        action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _killed_before(change: int, stage: Callable[[], Any]) -> None:
    numbers = itertools.count(1)

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if next(numbers) == change:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **more)

        return call

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    durable.exchange = counted(durable.exchange)
    stage()


def _is_whole(vehicle: Vehicle, wanted: Storm) -> bool:
    current = vehicle.current
    if current is None:
        return True
    folder = (vehicle.folder / "current").resolve()
    return any(_is(release, folder, vehicle) for release in (wanted.old, wanted.new) if release.revision == current)


def _is(release: Release, folder: Path, vehicle: Vehicle) -> bool:
    try:
        verify(ActivateRecipe(**release.recipe()), folder, Keys(), vehicle.scratch)
    except DMSError:
        return False
    return True


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
