"""Stage prefetch: bring a revision onto a vehicle's disk, verified. Nothing that runs is touched."""

import logging

from ..api.errors import DigestMismatch, NotPrefetched, SignatureInvalid
from ..api.vehicle import PrefetchRecipe, VehicleFacts
from .context import VehicleContext
from .vehicle.folder import Folder
from .vehicle.place import deployment_folder
from .vehicle.revision import bring, verify

_log = logging.getLogger(__name__)


def run(recipe: PrefetchRecipe, context: VehicleContext) -> VehicleFacts:
    """Verify what lies there, or bring it from the store.

    Raises WrongVehicle, VehicleFolderUnusable, VehicleBusy, VehicleFull, ArtifactMissing, DigestMismatch,
    SignatureInvalid, StoreUnavailable.
    """
    with deployment_folder(recipe, context) as folder:
        folder.prune({folder.current, folder.previous, folder.before, recipe.revision})
        try:
            size = verify(recipe, folder.revision(recipe.revision), context.keys, folder.work)
        except (NotPrefetched, DigestMismatch, SignatureInvalid) as error:
            _log.info("%s", error.message)
            size = _bring(recipe, folder, context)
    return VehicleFacts(node=recipe.node, revision=recipe.revision, size_bytes=size)


def _bring(recipe: PrefetchRecipe, folder: Folder, context: VehicleContext) -> int:
    fresh = folder.work / "fetched"
    bring(recipe, context.open_store(), fresh, context.progress)
    size = verify(recipe, fresh, context.keys, folder.work)
    folder.place(fresh, recipe.revision)
    return size
