"""The smoke inference: whether a revision loads on this vehicle, and computes what the benchmark saw."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dms_operator

from ...api import errors
from ...api.errors import DMSError, GoldenMismatch, SmokeRunFailed
from ...api.vehicle import ActivateRecipe
from ...toolchains.endings import signal_of
from ..pod_limits import seconds_left

_SHARE = 0.9
"""Share of the pod's time after which a check is ended: what is left is for going back."""


@dataclass(frozen=True)
class Smoke:
    """What a check found."""

    median: float
    """Seconds."""
    deviation: float
    tolerance: float


def run_smoke(recipe: ActivateRecipe, folder: Path, scratch: Path) -> Smoke:
    """Check a revision's folder in a new process, which loads it anew.

    Raises GoldenMismatch, GoldenMissing, NotDeployable, WrongTarget, ToolchainUnavailable, ConversionFailed,
    SmokeRunFailed.
    """
    job, answer = scratch / "smoke.json", scratch / "answer.json"
    answer.unlink(missing_ok=True)
    asked = recipe.model_dump(mode="json", include={"toolchain", "board", "compiled"})
    job.write_text(json.dumps(asked | {"folder": str(folder)}))
    command = [sys.executable, "-P", "-m", f"{__package__}.smoke_child", str(job), str(answer)]
    try:
        code = subprocess.run(command, cwd=scratch, env=_environment(), timeout=seconds_left(_SHARE)).returncode
    except subprocess.TimeoutExpired as error:
        raise SmokeRunFailed(f"the smoke inference hung, and was ended after {error.timeout:.0f} s") from error
    if code != 0 or not answer.is_file():
        killed = signal_of(code)
        raise SmokeRunFailed(f"the smoke inference {f'died by {killed.name}' if killed else f'ended with code {code}'}")
    found = json.loads(answer.read_text())
    if "reason" in found:
        raise _told(found)
    if found["deviation"] > found["tolerance"]:
        raise GoldenMismatch(
            f"output {found['output']} differs by {found['deviation']:.4g} from the golden one "
            f"({found['provenance']}), and {found['tolerance']:.4g} is allowed",
            hint="The vehicle's runtime or compute unit computes something else than what was benchmarked",
        )
    return Smoke(found["median"], found["deviation"], found["tolerance"])


def _told(found: dict[str, str]) -> DMSError:
    kind: type[DMSError] = getattr(errors, found["reason"])
    return kind(found["message"], hint=found["hint"])


def _environment() -> dict[str, str]:
    root = str(Path(dms_operator.__file__).parents[1])
    others = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{others}" if others else root}
