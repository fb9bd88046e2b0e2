"""Carries out a job on the machine that this process runs on."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

from ...toolchains.base import Arrays, Progress, Session
from ...toolchains.loading import open_cpu_session, open_session, version
from .. import environment
from ..end_to_end import camera_queries
from ..latency import Profile, Query, measure
from ..memory import MemoryWatch
from ..passes import Pass, Timed, run_passes
from ..power.record import record_power
from .job import BoardInputs, BoardJob, BoardRun, CameraJob, CpuJob

TARGET_STEP = "time-measured"
CAMERA_STEP = "time-camera"


def run_job(job: BoardJob, inputs: BoardInputs, progress: Progress) -> BoardRun:
    """Load, time beside the power meter, and run the samples.

    Memory and power are read before another model is loaded. Raises ToolchainUnavailable, ConversionFailed,
    InvalidSpec (camera without an image input).
    """
    memory, before = MemoryWatch(), time.perf_counter()
    session = open_session(job.loading, inputs.compiled)
    load_seconds = time.perf_counter() - before
    queries = [session.query(sample) for sample in inputs.rotation]
    passes, power = record_power(
        lambda: time_queries(queries, job.profile, job.warmup, _report(progress, TARGET_STEP), job.wanted, repeat=True)
    )
    peak = memory.peak_bytes()
    return BoardRun(
        version=version(job.loading),
        environment=environment.describe(),
        target=Timed(load_seconds, passes),
        power=power,
        peak_bytes=peak,
        camera=_camera(job, job.camera, inputs, session, progress) if job.camera else None,
        outputs=[session.run(sample) for sample in inputs.samples],
        cpu={
            name: time_on_cpu(inputs.models[name], inputs.rotation, each, job.warmup, progress)
            for name, each in job.cpu.items()
        },
    )


def time_on_cpu(model: Path, rotation: Sequence[Arrays], job: CpuJob, warmup: int, progress: Progress) -> Timed:
    """Load an ONNX model on the CPU and time it. Raises ConversionFailed."""
    before = time.perf_counter()
    session = open_cpu_session(model)
    load_seconds = time.perf_counter() - before
    queries = [session.query(sample) for sample in rotation]
    report = _report(progress, job.step)
    return Timed(load_seconds, time_queries(queries, job.profile, warmup, report, job.wanted, repeat=job.repeat))


def time_queries(
    queries: Sequence[Query],
    profile: Profile,
    warmup: int,
    report: Callable[[int, int], None],
    wanted: int,
    *,
    repeat: bool,
) -> list[Pass]:
    """Time queries in rotation, twice where the first run was disturbed and `repeat` is asked for."""
    return run_passes(lambda: measure(queries, profile, warmup, report, wanted), repeat=repeat)


def _camera(job: BoardJob, camera: CameraJob, inputs: BoardInputs, session: Session, progress: Progress) -> list[Pass]:
    rotation: list[Arrays] = inputs.rotation
    specs = tuple(SimpleNamespace(**spec) for spec in camera.specs)
    queries = camera_queries(SimpleNamespace(**camera.wanted), specs, rotation, session, inputs.answer)  # type: ignore[arg-type]
    return time_queries(queries, job.profile, job.warmup, _report(progress, CAMERA_STEP), job.wanted, repeat=True)


def _report(progress: Progress, step: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(step, done, total)
