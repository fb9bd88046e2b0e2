"""The waves of a rollout: how far each is, and how long it still soaks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dms_operator.api.rollout import RolloutSpec, WaveSpec
from dms_operator.api.rollout_status import RolloutStatus
from dms_operator.controller.rollout.amounts import cumulative
from dms_operator.controller.rollout.gates import soak_end
from dms_operator.controller.rollout.pauses import BACKWARD
from dms_operator.controller.text import parse_timestamp


@dataclass(frozen=True)
class WaveLine:
    """One wave. Vehicles are cumulative, as in spec.rollout."""

    name: str
    size: str
    updated: int
    """Vehicles that have the revision, as far as the wave wants them."""
    desired: int
    soak: str
    approval: str
    state: str


def wave_lines(rollout: RolloutSpec, status: RolloutStatus, now: datetime) -> Iterator[WaveLine]:
    """The waves in order."""
    for index, wave in enumerate(rollout.waves):
        total, so_far = status.vehicles.total, (each.size for each in rollout.waves[: index + 1])
        desired = min(cumulative(so_far, total), total)
        state = _state(rollout, wave, index, status, now)
        updated = min(status.vehicles.updated, desired)
        yield WaveLine(wave.name, wave.size, updated, desired, wave.soak, wave.approval, state)


def _state(rollout: RolloutSpec, wave: WaveSpec, index: int, status: RolloutStatus, now: datetime) -> str:
    if status.state in BACKWARD:
        return "taken back" if index <= status.wave_index else "never begun"
    if status.state == "Completed" or index < status.wave_index:
        return "done"
    if index > status.wave_index:
        return "to come"
    if status.state == "Soaking":
        return f"soaks, {_left(rollout, wave, status, now)}"
    if any(pause.reason == "ApprovalRequired" for pause in status.pauses):
        return "waits for approval"
    return "stands still" if status.pauses else "updating"


def _left(rollout: RolloutSpec, wave: WaveSpec, status: RolloutStatus, now: datetime) -> str:
    assert status.reached_at is not None
    left = (soak_end(rollout, wave, parse_timestamp(status.reached_at)) - now).total_seconds()
    return f"{span(left)} left" if left > 0 else "its time is over"


def span(seconds: float) -> str:
    """A span of time in its two largest units, such as `1h 5m`."""
    left, parts = max(0, round(seconds)), []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, length)
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2]) or "0s"
