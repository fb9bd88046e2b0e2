"""Labels, annotations, finalizer and resource names, each in one place."""

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
BUILD = f"{GROUP}/build"
"""On a Node, set by users: `true` where resolve, quantize and convert pods may run."""

RETRY = f"{GROUP}/retry"
"""Annotation on a deployment, a revision or recipe digest: run its failed stages once more."""
DELETE_ARTIFACTS = f"{GROUP}/delete-artifacts"
FINALIZER = f"{GROUP}/operator"


def board_resource(board: str) -> str:
    """Name of the extended resource that stands for one board of a type."""
    return f"{GROUP}/{board}"
