"""The chart as its users meet it: real helm, restricted namespaces, the operator in a pod with that pod's token."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

import dms_operator
from e2e import running
from e2e.conftest import FakeStages
from e2e.older_chart import EARLY, EARLY_VERSION, MISSING_COLUMN, MISSING_FIELD, VERSION, make_older
from e2e.releases import CHART, Release, small_values
from e2e.running import REPOSITORY, Cluster, Kubectl, wait_for
from e2e.test_operator_on_devcluster import deployment
from e2e.watching import events, recording
from tools import get_helm

pytestmark = pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
CRD = "dmsmodeldeployments.dms.edge"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A dev cluster on which nothing is installed."""
    process, cluster = running.start_dev_cluster(tmp_path_factory.mktemp("bare"))
    try:
        yield cluster
    finally:
        running.end(process)


@pytest.fixture
def admin(bare: Cluster, tmp_path: Path) -> Iterator[Kubectl]:
    """Kubectl without a namespace; the definition is gone afterwards, and with it every deployment."""
    kubectl = Kubectl(bare.kubeconfig, tmp_path)
    yield kubectl
    kubectl("delete", "crd", CRD, "--ignore-not-found", "--timeout=60s")


@pytest.fixture
def release(bare: Cluster, admin: Kubectl, tmp_path: Path) -> Iterator[Release]:
    """A release that is not installed yet."""
    release = Release(bare.kubeconfig, restricted_namespace(admin, "dms-system"), tmp_path)
    yield release
    release.helm("uninstall", release.name, "--ignore-not-found", "--wait")


@pytest.fixture
def people(admin: Kubectl) -> Kubectl:
    """Kubectl in a namespace for deployments."""
    return admin.within(restricted_namespace(admin, "perception"))


def restricted_namespace(admin: Kubectl, name: str) -> str:
    """A new namespace that takes restricted pods alone."""
    unique = f"{name}-{uuid4().hex[:6]}"
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": unique, "labels": RESTRICTED}})
    return unique


def definition(kubectl: Kubectl) -> dict[str, Any]:
    found: dict[str, Any] = kubectl.json("get", "crd", CRD)["spec"]["versions"][0]
    return found


def jobs(kubectl: Kubectl) -> list[str]:
    return sorted(job["metadata"]["uid"] for job in kubectl.json("get", "jobs")["items"])


def test_from_an_older_chart_to_this_one_and_away_again_no_deployment_is_lost(
    release: Release, admin: Kubectl, people: Kubectl, tmp_path: Path
) -> None:
    release.install(make_older(CHART, tmp_path / "older"))
    assert MISSING_FIELD not in json.dumps(definition(admin))
    people.apply(deployment(people))
    people("wait", "--for=condition=Ready", "dmsd/driver", "--timeout=90s")
    made = jobs(people)

    kept = {"registry": running.CHART_REGISTRY, "tag": VERSION, "operator": {"tag": dms_operator.__version__}}
    release.upgrade(images=kept)
    assert MISSING_FIELD in json.dumps(definition(admin)["schema"])
    assert MISSING_COLUMN in json.dumps(definition(admin)["additionalPrinterColumns"])
    assert "Succeeded" in release.test()
    assert people.json("get", "dmsd", "driver")["status"]["phase"] == "Ready"
    assert jobs(people) == made, "the same stage images: nothing runs again"
    [pod] = admin.within(release.namespace).json("get", "pods", "-l", "app.kubernetes.io/component=operator")["items"]
    assert VERSION not in pod["spec"]["containers"][0]["image"]

    release.helm("uninstall", release.name, "--wait")
    assert (
        admin.json("get", "deployments,roles,clusterroles,configmaps", "-A", "-l", "app.kubernetes.io/part-of")["items"]
        == []
    )
    assert people.json("get", "dmsd", "driver")["status"]["phase"] == "Ready"
    release.install()
    wait_for(lambda: not set(jobs(people)) & set(made), 60, "new stage images: the stages run again")
    people("wait", "--for=condition=Ready", "dmsd/driver", "--timeout=90s")


@pytest.mark.slow
def test_the_chart_of_an_early_day_is_upgraded_with_its_own_values_and_never_do_two_operators_run(
    release: Release, admin: Kubectl, people: Kubectl, tmp_path: Path
) -> None:
    release.install(EARLY, operator={"podLabels": {"team": "perception"}})
    people.apply(deployment(people))
    people("wait", "--for=condition=Ready", "dmsd/driver", "--timeout=90s")
    before, made = definition(admin), jobs(people)
    system = admin.within(release.namespace)
    operators = "app.kubernetes.io/component=operator"

    with recording(system, tmp_path, "pods", f"--selector={operators}") as path:
        wait_for(lambda: events(path), 30, "the watch shows the operator")
        tags = (f"--set=images.tag={EARLY_VERSION}", f"--set=images.operator.tag={dms_operator.__version__}")
        options = ("--reset-then-reuse-values", "--wait", "--timeout=100s")
        release.helm("upgrade", release.name, str(CHART), *options, *tags)
    assert definition(admin) != before
    assert "Succeeded" in release.test()
    assert people.json("get", "dmsd", "driver")["status"]["phase"] == "Ready"
    assert jobs(people) == made, "the same stage images: nothing runs again"
    [pod] = system.json("get", "pods", f"--selector={operators}")["items"]
    assert pod["metadata"]["labels"]["team"] == "perception", "the release's own values stay"
    at_once = lives(events(path))
    assert len(set().union(*at_once)) == 2, "one operator was replaced by another"
    assert max(map(len, at_once)) == 1, "Recreate: the next one begins when the last has gone"


def lives(told: list[dict[str, Any]]) -> list[set[str]]:
    """The pods that were there after each event of a watch."""
    there: set[str] = set()
    found = []
    for event in told:
        name = event["object"]["metadata"]["name"]
        has_ended = event["type"] == "DELETED" or event["object"]["status"].get("phase") in ("Succeeded", "Failed")
        there = there - {name} if has_ended else there | {name}
        found.append(there)
    return found


@pytest.mark.slow
def test_a_definition_that_kubectl_applied_is_taken_over_when_asked(release: Release, admin: Kubectl) -> None:
    admin("apply", "-f", str(REPOSITORY / "crds"))
    refused = release.helm(
        "install", release.name, str(CHART), f"--set=images.registry={running.CHART_REGISTRY}", code=1
    )
    assert refused == ""
    release.helm("uninstall", release.name, "--ignore-not-found")
    release.install(CHART, "--take-ownership", "--force-conflicts")
    assert "Succeeded" in release.test()
    release.upgrade(CHART, crd={"create": False})
    assert definition(admin)["served"], "a definition that the release lets go of stays"


@pytest.mark.slow
def test_a_namespaced_operator_leaves_other_namespaces_alone(release: Release, admin: Kubectl, people: Kubectl) -> None:
    release.install(CHART, watchNamespaces=[people.namespace])
    other = admin.within(release.namespace)
    for kubectl in (people, other):
        kubectl.apply(deployment(kubectl))
    people("wait", "--for=condition=Ready", "dmsd/driver", "--timeout=90s")
    assert "phase" not in (other.json("get", "dmsd", "driver").get("status") or {})
    assert "Succeeded" in release.test()


@pytest.mark.slow
def test_of_two_replicas_the_one_with_the_lease_works(release: Release, admin: Kubectl, people: Kubectl) -> None:
    """On the dev cluster all pods share one address, so the second cannot listen; who leads is settled all the same."""
    release.install(CHART, "--wait=hookOnly", replicas=2)
    system = admin.within(release.namespace)
    people.apply(deployment(people))
    people("wait", "--for=condition=Ready", "dmsd/driver", "--timeout=90s")
    holder = system.json("get", "lease", "dms-operator")["spec"]["holderIdentity"]
    pods = [pod["metadata"]["name"] for pod in system.json("get", "pods")["items"]]
    assert len(pods) == 2 and [name for name in pods if holder.startswith(f"{name}_")]


@pytest.mark.slow
def test_helm_3_installs_and_upgrades_it_as_well(bare: Cluster, admin: Kubectl, tmp_path: Path) -> None:
    release = Release(bare.kubeconfig, restricted_namespace(admin, "dms-system"), tmp_path, major=3)
    release.install(make_older(CHART, tmp_path / "older"))
    release.upgrade()
    assert MISSING_FIELD in json.dumps(definition(admin)["schema"])
    assert "Succeeded" in release.test()
    release.helm("uninstall", release.name, "--wait")
    assert definition(admin)["served"]


@pytest.mark.slow
def test_the_kustomize_base_runs_as_well(admin: Kubectl, people: Kubectl, tmp_path: Path) -> None:
    admin("apply", "--server-side", "-k", str(overlay(tmp_path / "overlay")))
    admin("--namespace=dms-system", "rollout", "status", "deployment/dms-operator", "--timeout=90s")
    people.apply(deployment(people))
    people("wait", "--for=condition=Ready", "dmsd/driver", "--timeout=90s")
    ours = "--selector=app.kubernetes.io/part-of=dms-operator"
    admin("delete", "namespace", "dms-system", "--timeout=60s")
    admin("delete", "clusterrole,clusterrolebinding", ours)
    assert people.json("get", "dmsd", "driver")["status"]["phase"] == "Ready", "no deployment went with the operator"


def overlay(directory: Path) -> Path:
    """The example overlay with images that the dev cluster has, and a port that is free."""
    shutil.copytree(REPOSITORY / "examples" / "kustomize", directory)
    values = small_values()
    port, resources = values["metrics"]["port"], values["stages"]["resources"]
    settings = FakeStages.settings | {"resources": resources}
    (directory / "settings.yaml").write_text(yaml.safe_dump(settings))
    path = directory / "kustomization.yaml"
    content = yaml.safe_load(path.read_text())
    content["resources"] = ["namespace.yaml", os.path.relpath(REPOSITORY / "helm" / "kustomize", directory)]
    content["images"][0] |= {"newName": f"{running.CHART_REGISTRY}/operator"}
    container = "/spec/template/spec/containers/0"
    moved = [
        {"op": "replace", "path": f"{container}/args/1", "value": f"--listen=:{port}"},
        {"op": "replace", "path": f"{container}/ports/0/containerPort", "value": port},
    ]
    content["patches"] = [{"target": {"kind": "Deployment"}, "patch": json.dumps(moved)}]
    path.write_text(yaml.safe_dump(content))
    return directory
