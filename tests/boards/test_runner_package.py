"""The runner that is pushed: small, always the same bytes, and content with numpy and an ONNX Runtime."""

import subprocess
import sys
from pathlib import Path

from dms_operator.pipeline.links.package import build_runner
from dms_operator.pipeline.on_board.frames import sha256
from dms_operator.pipeline.on_board.job import BoardInputs, BoardJob, CameraJob
from dms_operator.pipeline.on_board.wire import pack_job, unpack_run

ALONE = """
import runpy, sys

ABSENT = {"pydantic", "onnx", "yaml", "fsspec", "typer", "rich", "torch", "kopf", "kubernetes", "aiohttp", "psutil"}


class OnlyABoard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"a board has no {name}", name=name)


sys.meta_path.insert(0, OnlyABoard())
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs the runner where the project's other needs cannot be imported; of the project itself it has what is in it."""


def run_alone(runner: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", ALONE, str(runner), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_equal_sources_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        build_runner(tmp_path / name)
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")
    assert (tmp_path / "a").stat().st_size < 100_000


def test_the_job_needs_nothing_but_numpy_and_onnx_runtime(tmp_path: Path, job: BoardJob, inputs: BoardInputs) -> None:
    build_runner(tmp_path / "runner.pyz")
    wanted = {"width": 64, "height": 48, "mean": [0.0], "std": [1.0], "decision": "argmax"}
    camera = CameraJob(wanted, [{"name": "frames", "shape": [1, 3, 16, 16], "dtype": "float32"}])
    (tmp_path / "run").mkdir()
    pack_job(BoardJob(job.loading, job.profile, 2, 0, camera, job.cpu), inputs, tmp_path / "run/job.zip")
    done = run_alone(tmp_path / "runner.pyz", "job", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    found = unpack_run(tmp_path / "run/answer.zip")
    assert found.camera and len(found.outputs) == len(inputs.samples)
    assert "@progress time-camera" in done.stdout


def test_facts_need_the_standard_library_alone(tmp_path: Path) -> None:
    build_runner(tmp_path / "runner.pyz")
    done = run_alone(tmp_path / "runner.pyz", "facts", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert '"freeDiskBytes"' in done.stdout
