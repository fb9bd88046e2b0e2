"""One line about a rollout: where it stands, and what it waits for."""

from ...api.labels import ABORT
from ...api.rollout_status import RolloutStatus


def message(status: RolloutStatus, lost: int, *, aborts_in_vain: bool = False) -> str:
    """The line; `lost` vehicles cannot be brought back in this try.

    `aborts_in_vain`: somebody asks for the end of what the whole fleet had.
    """
    stuck = f"; vehicles that could not be brought back: {lost}, see their Jobs" if lost else ""
    kept = f"; annotation {ABORT} takes nothing back that the whole fleet had: change Git" if aborts_in_vain else ""
    return f"{_line(status)}{stuck}{kept}"


def _line(status: RolloutStatus) -> str:
    figures = status.vehicles
    share = f"{figures.updated}/{figures.total} vehicles run {status.revision}"
    if status.state in ("RollingBack", "RolledBack"):
        doing = "rolling back" if status.state == "RollingBack" else "rolled back"
        return f"{doing} {status.revision}: {status.cause}"
    if status.state == "Completed":
        late = min(figures.total, status.desired) - figures.updated - figures.failed
        failed = f"; {figures.failed} failed" if figures.failed else ""
        return share + failed + (f"; {late} to follow" if late > 0 else "")
    if status.pauses:
        return f"{share}; {status.pauses[0].message}"
    doing = "soaks" if status.state == "Soaking" else "is being updated"
    return f"wave {status.wave} ({status.wave_index + 1}/{status.waves}) {doing}: {share}, wanted {status.desired}"


def short(status: RolloutStatus) -> str | None:
    """For `kubectl get`: the wave and how many vehicles have the revision."""
    if not status.waves:
        return None
    return f"{status.wave} {status.wave_index + 1}/{status.waves} ({status.vehicles.updated}/{status.vehicles.total})"
