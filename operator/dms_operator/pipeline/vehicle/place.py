"""The folder that a vehicle's stage works in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ...api.errors import WrongVehicle
from ...api.stages import VehicleRecipe
from ..context import VehicleContext
from ..machine import NODE_VARIABLE
from .folder import Folder, open_folder


@contextmanager
def deployment_folder(recipe: VehicleRecipe, context: VehicleContext) -> Iterator[Folder]:
    """Open and lock it. Raises WrongVehicle, VehicleFolderUnusable, VehicleBusy, VehicleFull."""
    here = os.environ.get(NODE_VARIABLE)
    if here and here != recipe.node:
        raise WrongVehicle(f"the stage is for {recipe.node}, and this is {here}", hint="Bind its pod to its node")
    with open_folder(context.fleet, (recipe.node, *recipe.deployment.split("/"))) as folder:
        yield folder
