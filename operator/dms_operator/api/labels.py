"""Labels, annotations, finalizer and resource names, each in one place."""

from .base import digest_of

GROUP = "dms.edge"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "DMSModelDeployment"
PLURAL = "dmsmodeldeployments"

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "dms-operator"
DEPLOYMENT = f"{GROUP}/deployment"
STAGE = f"{GROUP}/stage"
TARGET = f"{GROUP}/target"
RECIPE = f"{GROUP}/recipe"
"""First 16 hex digits of the recipe digest, on Jobs and pods."""
RECIPE_DIGEST = f"{GROUP}/recipe-digest"
"""Annotation on Jobs: the full recipe digest."""
TEMPLATE_DIGEST = f"{GROUP}/template-digest"
"""Annotation on Jobs: digest of the pod template that the Job was made with."""
ATTEMPT = f"{GROUP}/attempt"
"""Annotation on Jobs: generation and retry value of the deployment when the Job was made."""

BOARD = f"{GROUP}/board"
"""On a Node, set by users: the board type that the node is, or that hangs off it."""
BOARD_DISABLED = f"{GROUP}/board-disabled"
"""Label or annotation on a Node, set by users: any value but `false` takes the board out of service."""
BOARD_CONNECTION = f"{GROUP}/board-connection"
"""Annotation on a Node, set by users: how its board is reached (api/board_connection.py)."""
BOARD_SECRET = f"{GROUP}/board-secret"
"""Annotation on a Node, set by users: Secret with the keys of its board, in the namespace of whoever uses it."""
BOARD_FACTS = f"{GROUP}/board-facts"
"""Annotation on a Node, set by the probe: what the board is, as JSON."""
BOARD_HEALTH = f"{GROUP}/board-health"
"""Annotation on a Node, set by the probe: temperature and room, as JSON, rounded so that it rarely changes."""
BOARD_CONDITION = "DMSBoardHealthy"
"""Condition of a Node, set by the probe."""
BUILD = f"{GROUP}/build"
"""On a Node, set by users: `true` where resolve, quantize and convert pods may run."""

VEHICLE = f"{GROUP}/vehicle"
"""On a Node, set by users: the board type of the vehicle that the node is. It runs models, and benchmarks nothing."""
HOLD = f"{GROUP}/hold"
"""Label or annotation on a vehicle, set by its people: any value but `false` keeps every change away from it."""
NODE = f"{GROUP}/node"
"""Annotation on a vehicle's Job: its node."""
REVISION = f"{GROUP}/revision"
"""Annotation on a vehicle's Job: the revision that it brings, switches to or takes away."""

ROUND = f"{GROUP}/round"
"""Annotation on a vehicle's Job: how often the revision was brought there before, and found damaged."""

APPROVE = f"{GROUP}/approve"
"""Annotation on a deployment, `<revision>/<wave>`: this wave may start."""
ABORT = f"{GROUP}/abort"
"""Annotation on a deployment, a revision: take it back from every vehicle."""
RETRY = f"{GROUP}/retry"
"""Annotation on a deployment, any new value: run its failed stages and its failed vehicles once more. A revision that
was rolled back is rolled out again when the value begins with it."""
DELETE_ARTIFACTS = f"{GROUP}/delete-artifacts"
"""Annotation on a deployment, `true`: when it is deleted, its artifacts go too, but those that others use."""
FINALIZER = f"{GROUP}/operator"
"""On deployments with DELETE_ARTIFACTS or deletionPolicy Remove, and on those with Jobs on vehicles."""
REMOVES_FOR = f"{GROUP}/removes-for"
"""Annotation on a removal Job, which has no owner: name of the deployment that it works for."""

_NAME_LIMIT = 63
"""Characters of a label's name behind its prefix."""


def board_resource(board: str) -> str:
    """Name of the extended resource that stands for one board of a type."""
    return f"{GROUP}/{board}"


def revision_label(namespace: str, deployment: str) -> str:
    """Label of a vehicle, `<namespace>.revision.dms.edge/<name>`: its value is the revision that runs there.

    The revision is called as on the vehicle's disk (controller/rollout/naming.py).
    A name that is too long for a label's is cut, and told from others by a digest.
    """
    name = (
        deployment
        if len(deployment) <= _NAME_LIMIT
        else f"{deployment[:50].rstrip('-.')}-{digest_of(deployment)[7:19]}"
    )
    return f"{namespace}.revision.{GROUP}/{name}"
