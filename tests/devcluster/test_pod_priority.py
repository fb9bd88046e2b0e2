"""Priority admission, as kube-apiserver does it, and the scheduler's order that follows from it."""

from typing import Any

import pytest

from dms_operator.devcluster.errors import ApiError
from dms_operator.devcluster.registry.registry import Registry
from dms_operator.devcluster.resources import Resources
from dms_operator.devcluster.storage import Store


@pytest.fixture
def registry() -> Registry:
    made = Registry(Store(), Resources())
    made.create(made.resources.named("namespaces"), "", {"metadata": {"name": "lab"}})
    return made


def klass(registry: Registry, name: str, value: int, **more: Any) -> None:
    identity = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
    body = {**identity, "value": value, **more}
    registry.create(registry.resources.named("priorityclasses"), "", body)


def pod(registry: Registry, **spec: Any) -> dict[str, Any]:
    body = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }  # fmt: skip
    made: dict[str, Any] = dict(registry.create(registry.resources.named("pods"), "lab", body)["spec"])
    return made


def test_a_pods_class_becomes_its_number(registry: Registry) -> None:
    klass(registry, "release", 1000, preemptionPolicy="Never")
    found = pod(registry, priorityClassName="release")
    assert (found["priority"], found["preemptionPolicy"]) == (1000, "Never")


def test_a_class_that_does_not_exist_is_forbidden_in_kubernetes_words(registry: Registry) -> None:
    with pytest.raises(ApiError, match='pods "p" is forbidden: no PriorityClass with name relaese was found') as error:
        pod(registry, priorityClassName="relaese")
    assert error.value.code == 403


def test_without_a_class_the_default_counts_and_without_that_zero(registry: Registry) -> None:
    assert pod(registry)["priority"] == 0
    klass(registry, "usual", 10, globalDefault=True)
    body = {"metadata": {"name": "q"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = registry.create(registry.resources.named("pods"), "lab", body)
    assert (made["spec"]["priority"], made["spec"]["priorityClassName"]) == (10, "usual")


def test_the_systems_classes_are_there_without_being_made(registry: Registry) -> None:
    assert pod(registry, priorityClassName="system-node-critical")["priority"] == 2_000_001_000
