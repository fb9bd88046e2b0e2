"""What a board is asked, and what it answers: plain values and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...toolchains.base import Arrays
from ...toolchains.loading import Loading
from ..latency import Profile
from ..passes import Pass, Timed
from ..power.record import PowerRecord


@dataclass(frozen=True)
class CpuJob:
    """An ONNX model that is timed on the board's CPU."""

    step: str
    """Name of its progress."""
    profile: Profile
    wanted: int = 0
    """Queries that a bound needs."""
    repeat: bool = False
    """Whether a disturbed run is repeated."""


@dataclass(frozen=True)
class CameraJob:
    """Camera to decision; fields of api.end_to_end.EndToEnd, and of the model's inputs."""

    wanted: Mapping[str, Any]
    specs: Sequence[Mapping[str, Any]]
    """name, shape and dtype of each input."""


@dataclass(frozen=True)
class BoardJob:
    """How the compiled artifact is loaded and timed, and what is timed besides."""

    loading: Loading
    profile: Profile
    warmup: int
    wanted: int
    """Queries that a bound needs."""
    camera: CameraJob | None = None
    cpu: Mapping[str, CpuJob] = field(default_factory=dict)
    """By name of the model in BoardInputs.models."""


@dataclass(frozen=True)
class BoardInputs:
    """Files and arrays that the job works on."""

    compiled: Path
    """Directory of the compiled artifact."""
    models: Mapping[str, Path]
    """ONNX models for the CPU, by name."""
    rotation: list[Arrays]
    """Samples that timed queries rotate through."""
    samples: list[Arrays]
    """Samples whose outputs are wanted."""
    answer: NDArray[Any]
    """An output of the model, for what is timed without it."""


@dataclass(frozen=True)
class BoardRun:
    """What the board found out."""

    version: str
    """Runtime that loaded the artifact."""
    environment: Mapping[str, Any]
    """As pipeline.environment describes a machine."""
    target: Timed
    power: PowerRecord
    peak_bytes: int | None
    """Peak memory of the loaded artifact; None where the kernel keeps none."""
    camera: list[Pass] | None
    cpu: Mapping[str, Timed]
    outputs: list[Arrays]
    """Outputs of the samples, by name."""
