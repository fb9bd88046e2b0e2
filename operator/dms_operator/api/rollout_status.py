"""`status.rollout`: how far a revision is over the fleet. Written by the operator alone (docs/rollout.md)."""

from typing import Literal, get_args

from pydantic import Field

from .base import Observed
from .capabilities import ToolchainName

RolloutState = Literal["Waiting", "Updating", "Soaking", "Completed", "RollingBack", "RolledBack"]
"""Waiting: the present wave has not begun. Updating, Soaking: of the present wave."""

PauseReason = Literal[
    "ApprovalRequired",
    "FailureBudgetExceeded",
    "GateFailed",
    "GateInconclusive",
    "NoVehicle",
    "OutsideWindow",
    "ProgressDeadlineExceeded",
    "Rebuilding",
    "Suspended",
]
PAUSE_REASONS: tuple[PauseReason, ...] = get_args(PauseReason)


class Pause(Observed):
    """Why no vehicle is updated now."""

    reason: PauseReason
    since: str = Field(max_length=40)
    message: str = Field(default="", max_length=512)
    """What is waited for, and what to do to go on."""


class VehicleCounts(Observed):
    """The fleet's vehicles; each is in one of the groups below `total`, so that those sum up to it."""

    total: int = 0
    """Vehicles that the selector and a target choose."""
    updated: int = 0
    """They run the revision."""
    updating: int = 0
    """They are being switched: these alone hold slots of maxUnavailable."""
    prefetching: int = 0
    """They download."""
    pending: int = 0
    """Their turn is still to come, or they wait for a slot."""
    failed: int = 0
    """All attempts failed."""
    offline: int = 0
    """Not updated and away."""
    held: int = 0
    """Not updated, because a person holds them."""


class FailedVehicle(Observed):
    """A vehicle on which the revision failed."""

    node: str = Field(max_length=253)
    reason: str = Field(max_length=128)
    message: str = Field(default="", max_length=512)


class GateReadings(Observed):
    """What a gate has read of the present soak."""

    metric: str = Field(max_length=64)
    op: str = Field(default="<=", max_length=2)
    value: float
    """The bound."""
    passed: int = 0
    """Readings within the bound, as far as they are needed: beyond `count` none is counted."""
    count: int = 1
    """Readings that must pass."""
    failed: int = 0
    failure_limit: int = 0
    """Readings that may fail."""
    worst: str = Field(default="", max_length=24)
    """The reading nearest to the bound or farthest beyond it, which may be `inf`; empty before the first one."""
    silent: int = 0
    """Vehicles that should have given `count` readings of their own by now, and have not."""


class RolloutStatus(Observed):
    """Progress of one revision over the fleet."""

    revision: str = Field(default="", max_length=64)
    state: RolloutState = "Waiting"
    waves_hash: str = Field(default="", max_length=64)
    """Of spec.rollout.waves: edited waves begin anew with the first."""
    wave: str | None = Field(default=None, max_length=64)
    """Name of the present wave; the last one's once it is completed."""
    wave_index: int = 0
    """Place of the present wave, from 0."""
    waves: int = 0
    desired: int = 0
    """Vehicles that have the revision when the present wave ends."""
    vehicles: VehicleCounts = VehicleCounts()
    failed_vehicles: list[FailedVehicle] = Field(default=[], max_length=20)
    """The first of them by name; `vehicles.failed` counts them all."""
    gates: list[GateReadings] = Field(default=[], max_length=10)
    """One for each of spec.rollout.gates while the present wave soaks, else none."""
    fetched_again: list[FailedVehicle] = Field(default=[], max_length=20)
    """Vehicles, the first by name, whose disk did not hold the revision as it was brought: it is brought once more."""
    pauses: list[Pause] = Field(default=[], max_length=8)
    """All reasons for which nothing is started now; empty while it goes on."""
    started_at: str | None = Field(default=None, max_length=40)
    reached_at: str | None = Field(default=None, max_length=40)
    """When the present wave had all its vehicles: its soak counts from here."""
    progressed_at: str | None = Field(default=None, max_length=40)
    """When something last went forward, or a pause ended: the progress deadline counts from here."""
    finished_at: str | None = Field(default=None, max_length=40)
    """When the rollout was completed or rolled back."""
    completed: str | None = Field(default=None, max_length=64)
    """The revision that the fleet was last brought to in all its waves: a rollback goes there."""
    refused: list[str] = Field(default=[], max_length=5)
    """Revisions that were rolled back, newest first: none of them is rolled out again until a retry names it."""
    cause: str = Field(default="", max_length=512)
    """Why the revision is taken back; empty while it is not."""
    message: str = Field(default="", max_length=512)


class TargetRelease(Observed):
    """A target's part of a revision: what its vehicles load."""

    target: str = Field(max_length=40)
    board: str = Field(max_length=40)
    toolchain: ToolchainName
    compiled: str = Field(max_length=80)
    """Digest of what convert made."""
    benchmark: str = Field(max_length=80)
    """Digest of what benchmark made: it holds the golden outputs."""
    deployable: bool = True
    """False for what no vehicle can load, such as an estimate."""


class Release(Observed):
    """Everything that is needed to bring a revision onto a vehicle again, when its own stages are long gone."""

    revision: str = Field(max_length=64)
    targets: list[TargetRelease] = Field(default=[], max_length=16)
