"""Everything that the course of one rollout is decided from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from ...api.labels import ABORT, APPROVE
from ...api.rollout import RolloutSpec, WaveSpec
from ...api.rollout_status import Release, RolloutStatus
from ...api.spec import DeploymentSpec
from ..text import parse_timestamp
from .amounts import at_most, cumulative
from .fleet import Fleet, Vehicle, is_lost
from .goals import Slots
from .ledger import Ledger
from .members import Member


@dataclass(frozen=True)
class Scene:
    """One revision, the vehicles that it is for, and what people said about it."""

    name: str
    """The deployment's."""
    spec: DeploymentSpec
    rollout: RolloutSpec
    release: Release
    """The revision that is rolled out."""
    completed: Release | None
    """The one that the whole fleet was last brought to; None for none. It may be the one that is rolled out."""
    building: bool
    """Whether the spec asks for another revision by now, which is not built yet."""
    members: list[Member]
    ledger: Ledger
    fleet: Fleet
    annotations: Mapping[str, str]
    retry: str
    """A retry that is asked for and was not handled yet; empty for none."""
    now: datetime
    reads_metrics: bool = True
    """Whether the operator knows where live metrics are read."""

    @property
    def revision(self) -> str:
        """The revision that is rolled out."""
        return self.release.revision

    @property
    def fallback(self) -> Release | None:
        """The one that a rollback goes to; None: to nothing."""
        return self.completed if self.completed and self.completed.revision != self.revision else None

    @cached_property
    def vehicles(self) -> dict[str, Vehicle]:
        """All vehicles by name, whether the rollout is about them or not."""
        return {vehicle.name: vehicle for vehicle in self.fleet.vehicles}

    @cached_property
    def slots(self) -> Slots:
        """How many vehicles may be at work; who is lost, or no pod gets onto, keeps no slot from the others."""
        released = (node for node in self.ledger.by_node if node in self.vehicles and self._is_out(self.vehicles[node]))
        return Slots(self.max_unavailable, self.rollout.max_prefetch, frozenset(released))

    def _is_out(self, vehicle: Vehicle) -> bool:
        return self.is_lost(vehicle) or self.is_stuck(vehicle)

    def is_lost(self, vehicle: Vehicle) -> bool:
        """Whether a vehicle has been away for longer than the grace."""
        return is_lost(vehicle, self.rollout.offline_policy, self.now)

    def is_stuck(self, vehicle: Vehicle) -> bool:
        """Whether a vehicle is here, but a pod has not started on it for as long as a wave may make no progress."""
        since = self.stuck_since(vehicle)
        return since is not None and (self.now - since).total_seconds() >= self.rollout.progress_deadline.value

    def stuck_since(self, vehicle: Vehicle) -> datetime | None:
        """Since when a pod could have started on a vehicle, and has not; None when there is none, or it is away."""
        waits = self.ledger.waits_since(vehicle.name) if self.ledger.is_known(vehicle.name) else None
        if waits is None or vehicle.away_since is not None:
            return None
        made = parse_timestamp(waits)
        return max(made, vehicle.here_since) if vehicle.here_since else made

    @property
    def is_aborted(self) -> bool:
        """Whether a person asked to take the revision back."""
        return self.annotations.get(ABORT) == self.revision

    def is_approved(self, wave: WaveSpec) -> bool:
        """Whether a wave may start, as far as people are asked."""
        return wave.approval == "Auto" or self.annotations.get(APPROVE) == f"{self.revision}/{wave.name}"

    def wave(self, status: RolloutStatus) -> WaveSpec:
        """The present wave."""
        return self.rollout.waves[min(status.wave_index, len(self.rollout.waves) - 1)]

    def desired(self, wave: WaveSpec) -> int:
        """Vehicles that have the revision when a wave ends."""
        waves = self.rollout.waves
        return cumulative((each.size for each in waves[: waves.index(wave) + 1]), len(self.members))

    @cached_property
    def max_unavailable(self) -> int:
        """Vehicles that may be switched at the same time; with less than one nothing would ever go forward."""
        return max(1, at_most(self.rollout.max_unavailable, len(self.members)))

    @cached_property
    def max_failures(self) -> int:
        """Vehicles that may fail."""
        return at_most(self.rollout.failure_policy.max_failures, len(self.members))
