"""The Job of a stage on a vehicle: bound to its node, with the folder there that outlives it, and little else.

It is a stage's Job like any other (jobs.py), made with settings that are cut down for a vehicle: no models and no
datasets, the artifact store and its credentials for prefetch alone.
"""

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..api import labels
from ..api.base import digest_of
from ..api.resource import Metadata
from ..api.rollout import FailurePolicy
from ..api.spec import DeploymentSpec, TargetSpec
from ..api.stages import VehicleRecipe, recipe_digest
from ..api.vehicle import FLEET_FOLDER, FLEET_FOLDER_VARIABLE, DeactivateRecipe
from .jobs import job_manifest, job_name, outliving
from .settings import FleetSettings, Settings, StageVolume
from .steps import Step
from .tolerations import Toleration

VOLUME = "dms-fleet"
TOLERATIONS = [
    Toleration(key=labels.VEHICLE, operator="Exists"),
    *(
        Toleration(key=f"node.kubernetes.io/{state}", operator="Exists", effect="NoExecute")
        for state in ("not-ready", "unreachable")
    ),
]
"""Vehicles may be tainted with their own label, to keep all other pods away. One that loses the network in a tunnel
works on, as daemon sets do: its pod would else be ended after five minutes."""


def vehicle_job_manifest(
    recipe: VehicleRecipe,
    target: TargetSpec | None,
    metadata: Metadata,
    spec: DeploymentSpec,
    settings: Settings,
    attempt: str,
    fetched_before: int = 0,
) -> dict[str, Any]:
    """The Job that runs a stage on the recipe's vehicle. Raises ValueError without settings.fleet.

    `fetched_before`: how often the revision was brought there already, and found damaged.
    """
    if settings.fleet is None:
        raise ValueError("no vehicle can be reached without settings.fleet")
    step = Step(recipe.stage, recipe, recipe_digest(recipe), target, None)
    manifest = job_manifest(step, metadata, spec, _cut_down(settings, settings.fleet, recipe, spec), attempt)
    marks = {labels.NODE: recipe.node, labels.REVISION: recipe.revision}
    marks |= {labels.ROUND: str(fetched_before)} if fetched_before else {}
    manifest["metadata"]["annotations"] |= marks
    return manifest


def deactivation_manifest(
    recipe: DeactivateRecipe, metadata: Metadata, spec: DeploymentSpec, settings: Settings
) -> dict[str, Any]:
    """The Job that takes a model off a vehicle while its deployment is being deleted (jobs.removal_job_manifest).

    Its attempt is the deployment's uid: an earlier deployment of the same name may have left Jobs.
    """
    manifest = vehicle_job_manifest(recipe, None, metadata, spec, settings, metadata.uid)
    name = job_name(metadata.name, "deactivate", digest_of([metadata.uid, recipe_digest(recipe)]))
    return outliving(manifest, name, metadata, settings.deadline("deactivate"))


def _cut_down(settings: Settings, fleet: FleetSettings, recipe: VehicleRecipe, spec: DeploymentSpec) -> Settings:
    fetches = recipe.stage == "prefetch"
    policy = spec.rollout.failure_policy if spec.rollout else FailurePolicy()
    return settings.model_copy(
        update={
            "volumes": [*_volumes(settings, spec.artifacts.uri if fetches else ""), _fleet_volume(fleet)],
            "store_secret": settings.store_secret if fetches else None,
            "env": {**settings.env, FLEET_FOLDER_VARIABLE: FLEET_FOLDER},
            "tolerations": [*settings.tolerations, *TOLERATIONS],
            "affinity": bound_to(recipe.node, settings.affinity),
            "backoff_limit": policy.per_node_retries,
        }
    )


def _fleet_volume(fleet: FleetSettings) -> StageVolume:
    return StageVolume(name=VOLUME, mount_path=FLEET_FOLDER, source=fleet.volume)


def _volumes(settings: Settings, store: str) -> list[StageVolume]:
    """Volumes that a vehicle needs: such as a vendor's SDK; of those with files of ours the store's, to read from."""
    place = PurePosixPath(urlsplit(store).path) if store.startswith("file:") else None
    kept = []
    for volume in settings.volumes:
        here = PurePosixPath(volume.mount_path)
        if place is not None and place.is_relative_to(here):
            kept.append(volume.model_copy(update={"read_only": True}))
        elif not any(_overlap(here, PurePosixPath(root)) for root in settings.file_roots):
            kept.append(volume)
    return kept


def _overlap(one: PurePosixPath, other: PurePosixPath) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def bound_to(node: str, affinity: dict[str, Any]) -> dict[str, Any]:
    """An affinity that this node alone can satisfy. The scheduler still decides, so that a pod waits for its vehicle.

    Terms of `nodeSelectorTerms` are alternatives: each is narrowed down to the node.
    """
    name = {"key": "metadata.name", "operator": "In", "values": [node]}
    of_nodes = affinity.get("nodeAffinity") or {}
    required = of_nodes.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = [
        {**term, "matchFields": [*term.get("matchFields", []), name]}
        for term in required.get("nodeSelectorTerms") or [{}]
    ]
    bound = {"requiredDuringSchedulingIgnoredDuringExecution": {**required, "nodeSelectorTerms": terms}}
    return {**affinity, "nodeAffinity": {**of_nodes, **bound}}
