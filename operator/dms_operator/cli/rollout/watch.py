"""Follows a rollout to its end."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from dms_operator.api.labels import ABORT, RETRY
from dms_operator.controller.facts import RETRY_LIMIT
from dms_operator.controller.rollout.pauses import FORWARD

from ..cluster import ClusterAccess
from ..objects import Deployment, from_cluster
from .view import BUILDING, headline

LOOK_SECONDS = 2.0


def follow(access: ClusterAccess, name: str, say: Callable[[str], None]) -> Deployment:
    """Say each change in a line until nothing goes on by itself; gives the deployment as it is then."""
    said = ""
    while True:
        (deployment,) = from_cluster(access, [name])
        if (line := line_of(deployment, datetime.now(UTC))) != said:
            say(line)
        if has_ended(deployment):
            return deployment
        said = line
        time.sleep(LOOK_SECONDS)


def line_of(deployment: Deployment, now: datetime) -> str:
    """Where it stands: of what is built, the stage; then the rollout."""
    status = deployment.status
    if status.rollout is None or status.phase in BUILDING:
        return f"{status.phase or 'Pending'}: {status.summary.message if status.summary else 'not looked at yet'}"
    return f"{status.rollout.revision}: {headline(status.rollout, now)}"


def has_ended(deployment: Deployment) -> bool:
    """Whether the present spec, and what people asked for last, has come to its end, good or bad."""
    heard = _is_retry_heard(deployment) and _is_abort_heard(deployment)
    return deployment.is_current and heard and deployment.status.phase in ("Ready", "Failed")


def _is_retry_heard(deployment: Deployment) -> bool:
    asked = deployment.metadata.annotations.get(RETRY, "")[:RETRY_LIMIT]
    return asked in ("", deployment.status.handled_retry)


def _is_abort_heard(deployment: Deployment) -> bool:
    rollout = deployment.status.rollout
    if rollout is None or rollout.state not in FORWARD:
        return True
    return deployment.metadata.annotations.get(ABORT) != rollout.revision or rollout.completed == rollout.revision
