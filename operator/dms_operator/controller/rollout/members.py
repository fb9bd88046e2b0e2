"""Which vehicles a rollout is about, and in which order: the same after every restart, another for every deployment."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ...api.spec import DeploymentSpec, TargetSpec
from .fleet import Vehicle

REMEMBERED = 50_000
"""Places in an order that are remembered, some 200 bytes each: a fleet is put in order at each look."""


@dataclass(frozen=True)
class Member:
    """A vehicle of the rollout, and the target whose artifact it loads."""

    vehicle: Vehicle
    target: TargetSpec

    @property
    def name(self) -> str:
        """The node's name."""
        return self.vehicle.name


def members(spec: DeploymentSpec, vehicles: Iterable[Vehicle], uid: str) -> list[Member]:
    """The vehicles that spec.rollout chooses and a target is built for, in the order of the rollout."""
    by_board: dict[str, list[TargetSpec]] = {}
    for each in spec.targets:
        by_board.setdefault(each.board, []).append(each)
    pairs = ((one, _target(by_board.get(one.board, []), one)) for one in vehicles if _is_chosen(spec, one))
    found = [Member(vehicle, target) for vehicle, target in pairs if target is not None]
    return sorted(found, key=lambda member: _place(uid, member.name))


@lru_cache(maxsize=REMEMBERED)
def _place(uid: str, name: str) -> bytes:
    return hashlib.sha256(f"{uid}/{name}".encode()).digest()


def _is_chosen(spec: DeploymentSpec, vehicle: Vehicle) -> bool:
    assert spec.rollout is not None
    selector = spec.rollout.selector
    has = vehicle.labels.items()
    return selector.match_labels.items() <= has and not any(mark in has for mark in selector.exclude_labels.items())


def _target(targets: list[TargetSpec], vehicle: Vehicle) -> TargetSpec | None:
    """Of several targets of one board type, the first whose nodeSelector the vehicle satisfies."""
    if len(targets) == 1:
        return targets[0]
    return next((each for each in targets if each.node_selector.items() <= vehicle.labels.items()), None)
