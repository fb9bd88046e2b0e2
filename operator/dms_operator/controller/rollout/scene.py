"""Everything that the course of one rollout is decided from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from ...api.labels import ABORT, APPROVE
from ...api.rollout import RolloutSpec, WaveSpec
from ...api.rollout_status import Release, RolloutStatus
from ...api.spec import DeploymentSpec
from .amounts import at_least, at_most
from .fleet import Fleet
from .ledger import Ledger
from .members import Member


@dataclass(frozen=True)
class Scene:
    """One revision, the vehicles that it is for, and what people said about it."""

    spec: DeploymentSpec
    rollout: RolloutSpec
    release: Release
    """The revision that is rolled out."""
    fallback: Release | None
    """The one that a rollback goes to; None: to nothing."""
    building: bool
    """Whether the spec asks for another revision by now, which is not built yet."""
    members: list[Member]
    ledger: Ledger
    fleet: Fleet
    annotations: Mapping[str, str]
    retry: str
    """A retry that is asked for and was not handled yet; empty for none."""
    now: datetime

    @property
    def revision(self) -> str:
        """The revision that is rolled out."""
        return self.release.revision

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
        """Vehicles that have the revision when a wave ends: one at least, or it would show nothing."""
        return max(1, at_least(wave.size, len(self.members)))

    @cached_property
    def max_unavailable(self) -> int:
        """Vehicles that may be switched at the same time; with less than one nothing would ever go forward."""
        return max(1, at_most(self.rollout.max_unavailable, len(self.members)))

    @cached_property
    def max_failures(self) -> int:
        """Vehicles that may fail."""
        return at_most(self.rollout.failure_policy.max_failures, len(self.members))
