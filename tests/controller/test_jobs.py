"""The Job of a stage: hardened, without credentials that it does not need, named so that a repeat is harmless."""

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.builders import COCKPIT, ENTRY, World, changed, deployment, spec, world
from dms_operator.api.stages import StageRequest
from dms_operator.controller.board_pods import Attachment
from dms_operator.controller.jobs import job_name
from dms_operator.controller.observation import BoardCount

RECIPE = "sha256:" + "0123456789abcdef" * 4
DNS_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")


def manifests(new: World | None = None) -> dict[str, dict[str, Any]]:
    """The Job of each stage of a run, by stage."""
    done = (new or world()).run()
    return {job["metadata"]["labels"]["dms.edge/stage"]: job for job in done.jobs.values()}


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


@pytest.fixture(scope="module")
def jobs() -> dict[str, dict[str, Any]]:
    return manifests()


def test_every_pod_satisfies_the_restricted_profile(jobs: dict[str, dict[str, Any]]) -> None:
    for job in jobs.values():
        pod, container = pod_of(job), pod_of(job)["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_terminal_errors_end_the_job_and_disruptions_cost_no_attempt(jobs: dict[str, dict[str, Any]]) -> None:
    first, second = jobs["resolve"]["spec"]["podFailurePolicy"]["rules"]
    assert (first["action"], first["onExitCodes"]["values"]) == ("FailJob", [10])
    assert (second["action"], second["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert jobs["resolve"]["spec"]["backoffLimit"] == 3
    assert pod_of(jobs["resolve"])["restartPolicy"] == "Never"


def test_waiting_for_a_board_does_not_use_up_the_deadline(jobs: dict[str, dict[str, Any]]) -> None:
    assert "activeDeadlineSeconds" not in jobs["benchmark"]["spec"]
    assert pod_of(jobs["benchmark"])["activeDeadlineSeconds"] == 7200


def test_every_pod_knows_its_own_deadline(jobs: dict[str, dict[str, Any]]) -> None:
    for job in jobs.values():
        environment = {each["name"]: each.get("value") for each in pod_of(job)["containers"][0]["env"]}
        assert environment["DMS_TIME_LIMIT"] == str(pod_of(job)["activeDeadlineSeconds"])


def test_a_benchmark_has_its_board_for_itself(jobs: dict[str, dict[str, Any]]) -> None:
    pod = pod_of(jobs["benchmark"])
    assert pod["nodeSelector"] == {"dms.edge/board": "qcs8255"}
    assert pod["containers"][0]["resources"]["limits"] == {"dms.edge/qcs8255": "1"}
    assert all("nodeSelector" not in pod_of(jobs[stage]) for stage in ("resolve", "quantize", "convert"))


def test_a_plain_node_is_benchmarked_on_by_one_at_a_time_too() -> None:
    pod = pod_of(manifests(world({"name": "lab", "board": "generic-x86"}))["benchmark"])
    assert pod["nodeSelector"] == {"dms.edge/board": "generic-x86"}
    assert pod["containers"][0]["resources"] == {"limits": {"dms.edge/generic-x86": "1"}}


def connected() -> World:
    """A world with three boards: one by ssh, one by adb, one that is its node itself."""
    new = world()
    new.boards["qcs8255"] = BoardCount(
        3,
        3,
        attachments=(
            Attachment("rack-1", "ssh://root@10.0.0.7", "board-rack-1"),
            Attachment("rack-2", "adb://4f2a11"),
        ),
    )
    return new


def test_a_benchmark_is_told_how_the_board_of_its_node_is_reached() -> None:
    jobs = manifests(connected())
    variables = {each["name"]: each for each in pod_of(jobs["benchmark"])["containers"][0]["env"]}
    table = json.loads(variables["DMS_BOARD_CONNECTIONS"]["value"])
    assert table == {"rack-1": "ssh://root@10.0.0.7", "rack-2": "adb://4f2a11"}
    assert variables["DMS_NODE_ADDRESS"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.hostIP"}}
    names = [each["name"] for each in pod_of(jobs["convert"])["containers"][0]["env"]]
    assert "DMS_BOARD_CONNECTIONS" not in names, "no other stage has to do with boards"


def test_a_benchmark_sees_the_keys_of_its_own_nodes_board_alone() -> None:
    pod = pod_of(manifests(connected())["benchmark"])
    volume = next(each for each in pod["volumes"] if each["name"] == "board")
    (source,) = volume["projected"]["sources"]
    assert source["secret"]["name"] == "board-rack-1" and source["secret"]["optional"] is True
    assert {item["path"] for item in source["secret"]["items"]} == {"rack-1/ssh-privatekey", "rack-1/known_hosts"}
    mount = next(each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "board")
    assert mount["subPathExpr"] == "$(DMS_NODE_NAME)" and mount["readOnly"] is True


def test_boards_that_are_their_nodes_need_neither_keys_nor_addresses(jobs: dict[str, dict[str, Any]]) -> None:
    assert "DMS_BOARD_CONNECTIONS" not in json.dumps(jobs) and "/etc/dms/board" not in json.dumps(jobs)


def test_a_waiting_benchmark_is_made_anew_when_a_board_is_attached_elsewhere() -> None:
    new = world()
    for _ in range(10):
        new.reconcile()
        for name in [each for each in new.unfinished() if "benchmark" not in each]:
            new.finish(name)
    (name,) = new.unfinished()
    new.boards["qcs8255"] = BoardCount(2, 2, attachments=(Attachment("rack-1", "adb://4f2a11"),))
    assert new.reconcile().delete == [name]


def test_a_benchmarks_own_priority_orders_the_line_and_touches_no_other_stage() -> None:
    jobs = manifests(world(benchmark={"priorityClassName": "release"}))
    assert pod_of(jobs["benchmark"])["priorityClassName"] == "release"
    assert "priorityClassName" not in pod_of(jobs["convert"])


def test_the_targets_own_labels_narrow_its_benchmark() -> None:
    pod = pod_of(manifests(world({**COCKPIT, "nodeSelector": {"bench": "left"}}))["benchmark"])
    assert pod["nodeSelector"] == {"dms.edge/board": "qcs8255", "bench": "left"}


def test_only_resolve_gets_the_models_credentials() -> None:
    new = world(model={"uri": "s3://models/driver.pt2", "secretRef": {"name": "model-store"}})
    new.settings = changed(storeSecret="artifact-store")
    sources = {stage: pod_of(job)["containers"][0]["envFrom"] for stage, job in manifests(new).items()}
    store, model = {"secretRef": {"name": "artifact-store"}}, {"secretRef": {"name": "model-store"}}
    assert sources == {
        "resolve": [store, model],
        "quantize": [store],
        "convert": [store],
        "benchmark": [store],
    }


def test_settings_shape_the_pods() -> None:
    new = world()
    new.settings = changed(
        volumes=[{"name": "models", "mountPath": "/models", "readOnly": True, "source": {"hostPath": {"path": "/m"}}}],
        resources={"quantize": {"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}}},
        tolerations=[{"key": "build", "operator": "Exists"}],
        nodeSelectors={"benchmark": {"rack": "a"}},
        deadlines={"convert": "90s"},
        scratchLimit="10Gi",
    )
    made = manifests(new)
    quantize = pod_of(made["quantize"])
    assert quantize["volumes"] == [
        {"name": "scratch", "emptyDir": {"sizeLimit": "10Gi"}},
        {"name": "models", "hostPath": {"path": "/m"}},
    ]
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in quantize["containers"][0]["volumeMounts"]
    assert quantize["containers"][0]["resources"] == {"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}}
    assert quantize["tolerations"] == [{"key": "build", "operator": "Exists"}]
    assert pod_of(made["benchmark"])["nodeSelector"] == {"rack": "a", "dms.edge/board": "qcs8255"}
    assert pod_of(made["convert"])["activeDeadlineSeconds"] == 90


def test_settings_say_how_pods_are_marked_pulled_and_placed() -> None:
    new = world()
    image = new.settings.images.quantize
    new.settings = changed(
        imagePullPolicies={image: "Never"},
        imagePullSecrets=["pull"],
        env={"HTTPS_PROXY": "http://proxy.example:3128"},
        serviceAccount="stages",
        podLabels={"team": "dms", "dms.edge/stage": "not-yours"},
        podAnnotations={"sidecar.istio.io/inject": "false"},
        priorityClass="low",
        affinity={"nodeAffinity": {}},
    )
    job = manifests(new)["quantize"]
    pod, template = pod_of(job), job["spec"]["template"]
    assert pod["containers"][0]["imagePullPolicy"] == "Never"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"} in pod["containers"][0]["env"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("stages", False)
    assert template["metadata"]["labels"] == {**job["metadata"]["labels"], "team": "dms"}
    assert template["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
    assert (pod["priorityClassName"], pod["affinity"]) == ("low", {"nodeAffinity": {}})


def test_a_cluster_may_choose_the_user_itself() -> None:
    new = world()
    new.settings = changed(runAs={"user": None, "group": None})
    context = pod_of(manifests(new)["quantize"])["securityContext"]
    assert context["runAsNonRoot"] is True
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(context)


def test_the_deployment_owns_its_jobs(jobs: dict[str, dict[str, Any]]) -> None:
    (owner,) = jobs["convert"]["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("DMSModelDeployment", "uid-of-driver", True)


def test_the_request_reaches_the_pod_whole_and_is_never_expanded() -> None:
    new = world(model={"uri": "file:///models/$(HOME)/$$x.pt2"})
    environment = pod_of(new.reconcile().create[0])["containers"][0]["env"]
    assert "$" not in environment[0]["value"]
    request = StageRequest.model_validate_json(environment[0]["value"])
    assert request.recipe.stage == "resolve"
    assert request.recipe.model_uri == "file:///models/$(HOME)/$$x.pt2"
    assert (request.deployment, request.store) == ("perception/driver", "file:///artifacts")


def test_labels_and_annotations_name_stage_target_and_recipe(jobs: dict[str, dict[str, Any]]) -> None:
    metadata = jobs["convert"]["metadata"]
    assert metadata["labels"]["dms.edge/target"] == "cockpit"
    assert metadata["annotations"]["dms.edge/recipe-digest"].startswith("sha256:")
    assert metadata["labels"] == jobs["convert"]["spec"]["template"]["metadata"]["labels"]


def test_a_short_name_shows_in_the_job_with_the_recipes_digest() -> None:
    assert job_name("driver", "convert", RECIPE) == "driver-convert-0123456789ab"


@given(st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,100}[a-z0-9])?", fullmatch=True).filter(lambda name: ".." not in name))
def test_job_names_are_dns_labels_of_at_most_63_characters(name: str) -> None:
    made = job_name(name, "benchmark", RECIPE)
    assert len(made) <= 63
    assert DNS_NAME.match(made)


def test_long_names_with_a_common_start_do_not_share_jobs() -> None:
    names = {job_name("a" * 60 + end, "convert", RECIPE) for end in ("-one", "-two")}
    assert len(names | {job_name("a.b", "convert", RECIPE), job_name("a-b", "convert", RECIPE)}) == 4


def test_deployments_share_no_jobs() -> None:
    one, other = (World(deployment(copy.deepcopy(spec(COCKPIT, ENTRY)), name)).run() for name in ("one", "other"))
    assert not set(one.jobs) & set(other.jobs)


def test_only_a_benchmark_is_told_its_node(jobs: dict[str, dict[str, Any]]) -> None:
    node = {"name": "DMS_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    told = {stage for stage, job in jobs.items() if node in pod_of(job)["containers"][0]["env"]}
    assert told == {"benchmark"}
