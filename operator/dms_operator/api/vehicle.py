"""What a stage on a vehicle is asked, and what it answers (docs/rollout.md).

On disk, below the fleet folder of the pod (`/fleet`): `<node>/<namespace>/<deployment>/` holds `revisions/<revision>/`
and the symbolic link `current`, which is switched by one atomic rename.
"""

from typing import Annotated, Literal

from pydantic import StringConstraints

from .base import Digest, Model, Observed
from .capabilities import BoardType, ToolchainName
from .quantities import Duration

FLEET_FOLDER = "/fleet"
"""Where a vehicle's pod sees the folder that outlives it."""
FLEET_FOLDER_VARIABLE = "DMS_FLEET_FOLDER"
"""Environment of a vehicle's pod: FLEET_FOLDER, unless a test says otherwise."""

Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")]
"""A revision, as it is called on vehicles (controller/rollout/naming.py): a folder's name and a label's value."""

NodeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
"""A node's name: a DNS subdomain, which may name a folder."""

DeploymentName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
]
"""`<namespace>/<name>` of a deployment, which names two folders."""


class _OnVehicle(Model):
    """One deployment's model on one vehicle."""

    image: str
    node: NodeName
    """The vehicle: the pod is bound to it, and its folder is named after it."""
    deployment: DeploymentName
    revision: Revision


class _Release(_OnVehicle):
    """A revision as one vehicle loads it."""

    compiled: Digest
    """What convert made."""
    benchmark: Digest
    """What benchmark made: it holds the golden inputs and outputs of the compiled artifact."""
    board: BoardType
    toolchain: ToolchainName


class PrefetchRecipe(_Release):
    """Bring a revision onto a vehicle's disk, verified by digest and signature. Nothing that runs is touched.

    A revision that lies there already, whole, is verified again and needs no store.
    """

    stage: Literal["prefetch"] = "prefetch"


class ActivateRecipe(_Release):
    """Verify a revision on disk, load it, hold a smoke inference against the golden outputs, switch, check again.

    It needs no network. When the last check fails, the link is switched back before the stage ends. Afterwards the
    revision and the one before it lie on disk, and no other.
    """

    stage: Literal["activate"] = "activate"


class DeactivateRecipe(_OnVehicle):
    """Take the deployment's model off a vehicle: the link first, then every revision. `revision` is what was current.

    It does nothing when another revision is current by now.
    """

    stage: Literal["deactivate"] = "deactivate"


class VehicleFacts(Observed):
    """What became of one vehicle."""

    node: str
    revision: str | None = None
    """What `current` points to when the stage ends; None for nothing. For prefetch: what was brought."""
    previous: str | None = None
    """What it pointed to before."""
    size_bytes: int = 0
    """Bytes of the revision on disk."""
    smoke_latency: Duration | None = None
    """Median of the smoke inferences."""
    smoke_provenance: Literal["measured", "host"] | None = None
    """measured: on the vehicle's own compute unit."""
    deviation: float | None = None
    """Largest difference of the smoke outputs to the golden ones, in units of the output."""
    tolerance: float | None = None
    """Largest difference that is allowed."""
