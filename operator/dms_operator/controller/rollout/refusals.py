"""Why no rollout is possible at all, told before any vehicle is touched."""

from ...api import reasons
from ...api.capabilities import TOOLCHAINS
from ...api.spec import DeploymentSpec
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


def undeployable(scene: Scene, settings: Settings) -> Outlook | None:
    """What no vehicle could load, or no pod could bring there."""
    estimates = [each.target for each in scene.release.targets if not each.deployable]
    if estimates:
        why = f"what was made for {', '.join(estimates)} is an estimate, no vehicle can load it"
        return Outlook("Failed", reasons.NOT_DEPLOYABLE, f"{why}: compile it without estimateOnly")
    releases = [scene.release, *([scene.fallback] if scene.fallback else [])]
    lacking = {
        each.toolchain for one in releases for each in one.targets if not settings.images.of("activate", each.toolchain)
    }
    if lacking:
        why = f"no image for vehicles of toolchain {', '.join(sorted(lacking))}: set images.benchmark"
        return Outlook("Failed", "ToolchainUnavailable", why)
    return None
