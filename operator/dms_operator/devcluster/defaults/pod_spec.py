"""Defaults of a pod spec, shared by pods and by the templates of jobs and deployments (k8s core/v1 defaults.go)."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.defaults.strategy import setdefaults

_FILE_MODE = 0o644  # defaultMode of configMap, secret, downwardAPI and projected volumes
_TOKEN_SECONDS = 3600  # expirationSeconds of a projected token when not given


def default_pod_spec(spec: dict[str, Any]) -> None:
    """Fill in what every pod spec shows."""
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        _default_container(container)
    for volume in spec.get("volumes", ()):
        _default_volume(volume)
    setdefaults(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", spec["serviceAccountName"])


def default_requests(spec: dict[str, Any]) -> None:
    """Of a pod, not of a template: what is limited and not asked for is asked for (k8s SetDefaults_Pod)."""
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        limits = container["resources"].get("limits") or {}
        if limits:
            container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}


def _default_container(container: dict[str, Any]) -> None:
    setdefaults(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_pull_policy(container.get("image", "")),
    )
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", ()):
        field = (variable.get("valueFrom") or {}).get("fieldRef")
        if field is not None:
            field.setdefault("apiVersion", "v1")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe):
            setdefaults(container[probe], timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)


def _pull_policy(image: str) -> str:
    name = image.rpartition("/")[2]
    latest = "@" not in name and (":" not in name or name.endswith(":latest"))
    return "Always" if latest else "IfNotPresent"


def _default_volume(volume: dict[str, Any]) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        if isinstance(volume.get(source), dict):
            volume[source].setdefault("defaultMode", _FILE_MODE)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    for part in (volume.get("projected") or {}).get("sources", ()):
        if "serviceAccountToken" in part:
            part["serviceAccountToken"].setdefault("expirationSeconds", _TOKEN_SECONDS)
