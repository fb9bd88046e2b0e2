"""Several listeners of the reconciler as one."""

from ..api.status import DeploymentStatus
from .caches import ObjectName, Raw
from .reconcile import Progress


class Listeners:
    """Passes on everything, in order."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = listeners

    def status_known(self, name: ObjectName, spec: Raw, status: DeploymentStatus) -> None:
        """The deployment's present status."""
        for listener in self._listeners:
            listener.status_known(name, spec, status)

    def status_written(self, name: ObjectName, before: DeploymentStatus, after: DeploymentStatus) -> None:
        """A status was replaced by another."""
        for listener in self._listeners:
            listener.status_written(name, before, after)

    def forget(self, name: ObjectName) -> None:
        """The deployment is gone."""
        for listener in self._listeners:
            listener.forget(name)
