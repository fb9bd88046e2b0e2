"""Why no rollout is possible at all, told before any vehicle is touched."""

from ...api import reasons
from ...api.capabilities import TOOLCHAINS
from ...api.spec import DeploymentSpec
from ...api.target_options.tidl import ESTIMATE_ONLY
from ..conditions import Outlook
from ..settings import Settings
from .scene import Scene


def unequipped(spec: DeploymentSpec) -> Outlook | None:
    """That there is a rollout, and no place on vehicles to bring anything to."""
    if spec.rollout is None:
        return None
    why = "the operator knows no folder on vehicles: set fleet.volume in its settings"
    return Outlook("Failed", reasons.FLEET_NOT_CONFIGURED, why)


def unfit(spec: DeploymentSpec) -> Outlook | None:
    """What is known not to run on vehicles before anything is built."""
    for target in spec.targets:
        why = TOOLCHAINS[target.effective_toolchain()].off_vehicles
        if why:
            made = f"{target.name} is built by toolchain {target.effective_toolchain()}"
            return Outlook("Failed", reasons.NOT_DEPLOYABLE, f"{made}; {why}")
    return None


UNREAD = (
    "rollout.gates are read from a Prometheus, and the operator knows none: set fleet.prometheus in its settings, or "
    "leave the gates out"
)


def reads_metrics(settings: Settings) -> bool:
    """Whether the operator knows where live metrics are read."""
    return settings.fleet is not None and settings.fleet.prometheus is not None


def unread(spec: DeploymentSpec, settings: Settings) -> Outlook | None:
    """Gates that would never have a reading, while nothing is built that vehicles could go back to."""
    if spec.rollout is None or not spec.rollout.gates or reads_metrics(settings):
        return None
    return Outlook("Failed", reasons.FLEET_NOT_CONFIGURED, UNREAD)


def undeployable(scene: Scene, settings: Settings) -> Outlook | None:
    """What no vehicle could load, or no pod could bring there."""
    estimates = [each.target for each in scene.release.targets if not each.deployable]
    if estimates:
        why = f"what was made for {', '.join(estimates)} is an estimate, no vehicle can load it"
        return Outlook("Failed", reasons.NOT_DEPLOYABLE, f"{why}: compile it without option {ESTIMATE_ONLY}")
    releases = [scene.release, *([scene.fallback] if scene.fallback else [])]
    lacking = {
        each.toolchain for one in releases for each in one.targets if not settings.images.of("activate", each.toolchain)
    }
    if lacking:
        why = f"no image for vehicles of toolchain {', '.join(sorted(lacking))}: set images.benchmark"
        return Outlook("Failed", "ToolchainUnavailable", why)
    return None
