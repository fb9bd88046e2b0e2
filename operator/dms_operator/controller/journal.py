"""The deployments' story in the operator's log: what is posted as an event, with keys to filter by."""

import logging

from ..api.status import DeploymentStatus
from .caches import ObjectName
from .events import Event

_log = logging.getLogger(__name__)


def log_event(name: ObjectName, event: Event, status: DeploymentStatus) -> None:
    """One line, with the deployment, the stage it is about, and the present revision."""
    revision = status.revision.current if status.revision else None
    keys = {"deployment": "/".join(name), "stage": event.stage, "revision": revision, "reason": event.reason}
    level = logging.WARNING if event.type == "Warning" else logging.INFO
    _log.log(level, "%s: %s", event.reason, event.message, extra=keys)
