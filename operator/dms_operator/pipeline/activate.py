"""Stage activate: check a revision on a vehicle's disk, switch to it, check again, else switch back."""

from ..api.quantities import Duration
from ..api.vehicle import ActivateRecipe, VehicleFacts
from .context import VehicleContext
from .vehicle.folder import Folder
from .vehicle.place import deployment_folder
from .vehicle.revision import verify
from .vehicle.smoke import Smoke, run_smoke


def run(recipe: ActivateRecipe, context: VehicleContext) -> VehicleFacts:
    """Let `current` point to the revision; on any failure it points to what it did before.

    Raises WrongVehicle, VehicleFolderUnusable, VehicleBusy, NotPrefetched, DigestMismatch, SignatureInvalid,
    NotDeployable, WrongTarget, ToolchainUnavailable, ConversionFailed, GoldenMissing, GoldenMismatch, SmokeRunFailed.
    """
    with deployment_folder(recipe, context) as folder:
        folder.go_back()  # of a pod that was killed before it could confirm
        wanted = folder.revision(recipe.revision)
        size = verify(recipe, wanted, context.keys, folder.work)
        smoke = run_smoke(recipe, wanted, context.workdir)
        if folder.current != recipe.revision:
            smoke = _switch(recipe, folder, context)
        folder.prune({folder.current, folder.previous})
        return VehicleFacts(
            node=recipe.node,
            revision=folder.current,
            previous=folder.previous,
            size_bytes=size,
            smoke_latency=Duration.of_seconds(smoke.median),
            smoke_provenance="measured",
            deviation=smoke.deviation,
            tolerance=smoke.tolerance,
        )


def _switch(recipe: ActivateRecipe, folder: Folder, context: VehicleContext) -> Smoke:
    try:
        folder.switch(recipe.revision)
        smoke = run_smoke(recipe, folder.current_link, context.workdir)
        folder.confirm()
    except BaseException:
        folder.go_back()
        raise
    return smoke
