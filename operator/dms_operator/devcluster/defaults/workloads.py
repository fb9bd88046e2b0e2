"""Deployments, replica sets and services: the defaults that `kubectl` shows."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.defaults.pod_spec import default_pod_spec
from dms_operator.devcluster.defaults.strategy import Object, Strategy, setdefaults
from dms_operator.devcluster.schema.errors import FieldError, invalid
from dms_operator.devcluster.selectors import match_label_selector


class ReplicaSetStrategy(Strategy):
    """Replicas of a template; the selector is fixed and matches the template."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Defaults and an empty status."""
        self.default(obj.setdefault("spec", {}))
        obj["status"] = {"replicas": 0}

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """Defaults again."""
        self.default(new["spec"])

    def default(self, spec: dict[str, Any]) -> None:
        """Fill in the spec."""
        spec.setdefault("replicas", 1)
        default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        """The selector matches the template's labels, and did not change."""
        spec = new["spec"]
        labels = spec["template"].get("metadata", {}).get("labels", {})
        if not match_label_selector(spec.get("selector"), labels):
            return [invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")]
        if old is not None and spec["selector"] != old["spec"]["selector"]:
            return [invalid("spec.selector", spec["selector"], "field is immutable")]
        return []


class DeploymentStrategy(ReplicaSetStrategy):
    """A replica set with a rollout strategy."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Defaults and an empty status."""
        super().prepare_create(obj)
        obj["status"] = {}

    def default(self, spec: dict[str, Any]) -> None:
        """Fill in the spec."""
        super().default(spec)
        setdefaults(spec, strategy={}, revisionHistoryLimit=10, progressDeadlineSeconds=600)
        strategy = spec["strategy"]
        strategy.setdefault("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            setdefaults(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")


class ServiceStrategy(Strategy):
    """Stored only: there is no network, so no address is given (`None`, headless)."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Defaults."""
        self._default(obj.setdefault("spec", {}))
        obj["status"] = {"loadBalancer": {}}

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """Defaults again."""
        self._default(new["spec"])

    def _default(self, spec: dict[str, Any]) -> None:
        setdefaults(
            spec,
            type="ClusterIP",
            clusterIP="None",
            clusterIPs=["None"],
            sessionAffinity="None",
            internalTrafficPolicy="Cluster",
        )
        for port in spec.get("ports", ()):
            setdefaults(port, protocol="TCP", targetPort=port.get("port"))
