"""Two pods never work in one deployment's folder at once; a pod that died holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dms_operator.pipeline.vehicle import folder
from dms_operator.pipeline.vehicle.folder import open_folder
from pipeline.stages import succeeded
from pipeline.vehicle.disk import DEPLOYMENT, NODE, Release, Vehicle

_HOLD = """
import sys, time
from pathlib import Path
from dms_operator.pipeline.vehicle.folder import open_folder
with open_folder(Path(sys.argv[1]), sys.argv[2:]) as folder:
    (folder.work / "half").write_text("of a download")
    print("locked", flush=True)
    time.sleep(600)
"""
PARTS = (NODE, *DEPLOYMENT.split("/"))


@pytest.fixture
def other_pod(vehicle: Vehicle) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the deployment's folder."""
    command = [sys.executable, "-c", _HOLD, str(vehicle.fleet), *PARTS]
    environment = os.environ | {"PYTHONPATH": "operator"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_stage_gives_up_when_another_pod_does_not_end(
    vehicle: Vehicle, releases: list[Release], other_pod: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "LOCK_SECONDS", 0.3)
    for result in (vehicle.prefetch(releases[0]), vehicle.activate(releases[0]), vehicle.deactivate("1" * 12)):
        assert result.failure is not None and result.failure.reason == "VehicleBusy" and result.failure.retryable
    assert (vehicle.folder / "work" / "half").exists(), "what another pod makes is not a leftover"


def test_a_stage_waits_for_another_pod_and_goes_on_when_it_is_killed(
    vehicle: Vehicle, releases: list[Release], other_pod: subprocess.Popen[str]
) -> None:
    timer = threading.Timer(0.5, other_pod.send_signal, [signal.SIGKILL])
    timer.start()
    succeeded(vehicle.prefetch(releases[0]))
    timer.join()
    assert list((vehicle.folder / "work").iterdir()) == []


def test_other_deployments_of_the_vehicle_do_not_wait(
    vehicle: Vehicle, releases: list[Release], other_pod: subprocess.Popen[str]
) -> None:
    succeeded(vehicle.prefetch(releases[0], deployment="perception/gaze"))


def test_who_waited_for_a_folder_that_was_removed_gets_a_new_one(tmp_path: Path) -> None:
    entered, found = threading.Event(), list[Path]()

    def wait() -> None:
        entered.set()
        with open_folder(tmp_path, PARTS) as second:
            found.extend([second.path, *second.path.iterdir()])

    waiting = threading.Thread(target=wait)
    with open_folder(tmp_path, PARTS) as first:
        waiting.start()
        entered.wait()
        first.remove()
        assert list(tmp_path.iterdir()) == []
    waiting.join()
    assert {path.name for path in found} == {PARTS[-1], "revisions", "work"}
