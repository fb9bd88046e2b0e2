"""What each kind adds to the generic semantics: defaults, admission, immutability, grace."""

from __future__ import annotations

from dms_operator.devcluster.defaults.cluster import NamespaceStrategy, NodeStrategy
from dms_operator.devcluster.defaults.config import ConfigMapStrategy, SecretStrategy
from dms_operator.devcluster.defaults.definitions import DefinitionStrategy
from dms_operator.devcluster.defaults.events import EventStrategy
from dms_operator.devcluster.defaults.jobs import JobStrategy
from dms_operator.devcluster.defaults.pods import PodStrategy
from dms_operator.devcluster.defaults.strategy import CustomStrategy, Strategy
from dms_operator.devcluster.defaults.workloads import DeploymentStrategy, ReplicaSetStrategy, ServiceStrategy
from dms_operator.devcluster.resources import ResourceInfo

_STRATEGIES: dict[str, Strategy] = {
    "configmaps": ConfigMapStrategy(),
    "customresourcedefinitions.apiextensions.k8s.io": DefinitionStrategy(),
    "deployments.apps": DeploymentStrategy(),
    "events": EventStrategy(),
    "jobs.batch": JobStrategy(),
    "namespaces": NamespaceStrategy(),
    "nodes": NodeStrategy(),
    "pods": PodStrategy(),
    "replicasets.apps": ReplicaSetStrategy(),
    "secrets": SecretStrategy(),
    "services": ServiceStrategy(),
}
_PLAIN = Strategy()
_CUSTOM = CustomStrategy()


def strategy_of(info: ResourceInfo) -> Strategy:
    """The strategy of a resource; the generic one where nothing is special."""
    if info.custom:
        return _CUSTOM
    return _STRATEGIES.get(info.storage, _PLAIN)
