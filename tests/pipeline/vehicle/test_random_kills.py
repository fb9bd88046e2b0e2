"""Whole pods, killed at random moments with all their processes, as a node that loses power does."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dms_operator.api.stages import StageRequest
from dms_operator.api.vehicle import ActivateRecipe, DeactivateRecipe, PrefetchRecipe
from dms_operator.artifacts.signing import Keys
from dms_operator.pipeline.vehicle.revision import verify
from pipeline.vehicle.disk import DEPLOYMENT, NODE, Release, Vehicle

ROUNDS = 40
LONGEST_SECONDS = 3.0
"""An activate takes about two here."""


def _pod(vehicle: Vehicle, recipe: Any, request: Path) -> subprocess.Popen[bytes]:
    asked = StageRequest(deployment=DEPLOYMENT, store=vehicle.store, recipe=recipe)
    request.write_text(json.dumps(asked.to_wire()))
    return subprocess.Popen(
        [sys.executable, "-m", "dms_operator.cli.main", "stage", "run", str(request)],
        env=os.environ | {"PYTHONPATH": "operator"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _recipe(choice: random.Random, release: Release) -> Any:
    stage = choice.choices(["prefetch", "activate", "deactivate"], [4, 6, 1])[0]
    if stage == "deactivate":
        return DeactivateRecipe(image="i", node=NODE, deployment=DEPLOYMENT, revision=release.revision)
    return (PrefetchRecipe if stage == "prefetch" else ActivateRecipe)(**release.recipe())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_killed_whenever_current_is_whole_and_an_update_goes_through(
    running: Vehicle, releases: list[Release], tmp_path: Path, seed: int
) -> None:
    choice, known, killed = random.Random(seed), {each.revision: each for each in releases}, 0
    for number in range(ROUNDS):
        pod = _pod(running, _recipe(choice, choice.choice(releases)), tmp_path / f"{number}.json")
        with contextlib.suppress(subprocess.TimeoutExpired):
            pod.wait(choice.uniform(0, LONGEST_SECONDS))
        if pod.poll() is None:
            killed += 1
            os.killpg(pod.pid, signal.SIGKILL)
            pod.wait()
        if running.current:
            folder = running.folder / "revisions" / running.current
            verify(ActivateRecipe(**known[running.current].recipe()), folder, Keys(), tmp_path)
    assert killed > ROUNDS / 4
    running.update(releases[number % len(releases)])
    assert not list((running.folder / "work").iterdir())
