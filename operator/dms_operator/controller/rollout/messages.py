"""One line about a rollout: where it stands, and what it waits for."""

from ...api.rollout_status import RolloutStatus
from .scene import Scene


def message(scene: Scene, status: RolloutStatus, why: str) -> str:
    """The line; `why` is the reason of a rollback, as it was when that began."""
    figures = status.vehicles
    share = f"{figures.updated}/{figures.total} vehicles run {scene.revision}"
    match status.state:
        case "Completed":
            late = f"; {figures.total - figures.updated} to follow" if figures.updated < status.desired else ""
            return share + late
        case "RollingBack":
            return why if why.startswith("rolling back") else f"rolling back {scene.revision}: {why}"
        case "RolledBack":
            return why.replace("rolling back", "rolled back", 1)
    if status.pauses:
        return f"{share}; {status.pauses[0].message}"
    doing = "soaks" if status.state == "Soaking" else "is being updated"
    return f"wave {status.wave} ({status.wave_index + 1}/{status.waves}) {doing}: {share}, wanted {status.desired}"


def short(status: RolloutStatus) -> str | None:
    """For `kubectl get`: the wave and how many vehicles have the revision."""
    if not status.waves:
        return None
    return f"{status.wave} {status.wave_index + 1}/{status.waves} ({status.vehicles.updated}/{status.vehicles.total})"
