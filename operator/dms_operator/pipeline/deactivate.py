"""Stage deactivate: take a deployment's model off a vehicle."""

from ..api.vehicle import DeactivateRecipe, VehicleFacts
from .context import VehicleContext
from .vehicle.place import deployment_folder


def run(recipe: DeactivateRecipe, context: VehicleContext) -> VehicleFacts:
    """Remove the link, then all revisions; nothing when another revision is current by now.

    Raises WrongVehicle, VehicleFolderUnusable, VehicleBusy.
    """
    with deployment_folder(recipe, context) as folder:
        folder.go_back()  # of a pod that was killed before it could confirm
        current = folder.current
        if current not in (None, recipe.revision):
            return VehicleFacts(node=recipe.node, revision=current, previous=current)
        folder.remove()
    return VehicleFacts(node=recipe.node, previous=current)
