"""The DMSModelDeployment object as it is read from the cluster."""

from typing import Any

from pydantic import Field, ValidationError

from .base import Observed, problems
from .errors import InvalidSpec
from .spec import DeploymentSpec
from .status import DeploymentStatus


class Metadata(Observed):
    """The parts of an object's metadata that the operator reads."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str = ""
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


def parse_spec(body: dict[str, Any]) -> DeploymentSpec:
    """Validate an object's spec again, whatever the installed CRD let through.

    Raises InvalidSpec with every problem on one line, each with the path of its field.
    """
    try:
        return DeploymentSpec.model_validate(body.get("spec", {}))
    except ValidationError as error:
        raise InvalidSpec(problems(error, "spec")) from error


def parse_status(body: dict[str, Any]) -> DeploymentStatus:
    """The object's status; one that cannot be read (written by another version) counts as empty."""
    try:
        return DeploymentStatus.model_validate(body.get("status") or {})
    except ValidationError:
        return DeploymentStatus()
