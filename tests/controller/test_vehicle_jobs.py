"""The Job of a stage on a vehicle: bound to its node, and without what a vehicle has no business with."""

from typing import Any

import pytest

from controller.builders import COCKPIT, SETTINGS, changed, deployment, spec
from controller.test_jobs import DNS_NAME
from dms_operator.api.resource import Metadata, parse_spec
from dms_operator.api.stages import StageRequest, VehicleRecipe, recipe_digest
from dms_operator.api.vehicle import ActivateRecipe, DeactivateRecipe, PrefetchRecipe
from dms_operator.controller.jobs import template_digest
from dms_operator.controller.observation import job_view
from dms_operator.controller.settings import Settings
from dms_operator.controller.vehicle_jobs import bound_to, vehicle_job_manifest

DIGEST = "sha256:" + "a" * 64
ON_VEHICLE = {"image": "dms-qnn:1", "node": "car-7", "deployment": "perception/driver", "revision": "0123456789abcdef"}
RELEASE = {**ON_VEHICLE, "compiled": DIGEST, "benchmark": DIGEST, "board": "qcs8255", "toolchain": "qnn"}
PREFETCH = PrefetchRecipe.model_validate(RELEASE)
ACTIVATE = ActivateRecipe.model_validate(RELEASE)
DEACTIVATE = DeactivateRecipe.model_validate(ON_VEHICLE)
EACH = pytest.mark.parametrize("recipe", [PREFETCH, ACTIVATE, DEACTIVATE], ids=lambda recipe: recipe.stage)
HOST_PATH = {"hostPath": {"path": "/var/lib/dms", "type": "Directory"}}
FLEET = {"fleet": {"volume": HOST_PATH}}
ROLLOUT = {"waves": [{"name": "fleet", "size": "100%"}], "failurePolicy": {"perNodeRetries": 5}}


def job(recipe: VehicleRecipe, settings: Settings | None = None, **more: Any) -> dict[str, Any]:
    body = deployment(spec(COCKPIT, rollout=ROLLOUT, **more))
    wanted = parse_spec(body)
    metadata = Metadata.model_validate(body["metadata"])
    return vehicle_job_manifest(recipe, wanted.targets[0], metadata, wanted, settings or changed(**FLEET), "1/")


def pod(recipe: VehicleRecipe, settings: Settings | None = None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = job(recipe, settings, **more)["spec"]["template"]["spec"]
    return found


def mounts(found: dict[str, Any]) -> dict[str, bool]:
    """Where volumes are mounted, and whether they may only be read."""
    return {mount["mountPath"]: mount.get("readOnly", False) for mount in found["containers"][0]["volumeMounts"]}


def environment(found: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in found["containers"][0]["env"]}


@EACH
def test_the_scheduler_may_bind_it_to_its_vehicle_alone(recipe: VehicleRecipe) -> None:
    required = pod(recipe)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    name = {"key": "metadata.name", "operator": "In", "values": ["car-7"]}
    assert required == {"nodeSelectorTerms": [{"matchFields": [name]}]}
    assert "nodeName" not in pod(recipe), "a pod that nobody scheduled would not wait for an offline vehicle"


def test_an_affinity_of_the_settings_is_narrowed_down_to_the_vehicle() -> None:
    arm = {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]}
    other = {"matchExpressions": [{"key": "lab", "operator": "Exists"}]}
    given = {
        "podAntiAffinity": {"x": 1},
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [],
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [arm, other]},
        },
    }
    bound = bound_to("car-7", given)
    terms = bound["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    name = {"key": "metadata.name", "operator": "In", "values": ["car-7"]}
    assert terms == [{**arm, "matchFields": [name]}, {**other, "matchFields": [name]}]
    assert bound["podAntiAffinity"] == {"x": 1}
    assert "preferredDuringSchedulingIgnoredDuringExecution" in bound["nodeAffinity"]


@EACH
def test_it_tells_whose_it_is_and_asks_for_its_recipe(recipe: VehicleRecipe) -> None:
    made = job(recipe)
    view = job_view({**made, "status": {}}, [])
    assert (view.node, view.revision, view.stage) == ("car-7", "0123456789abcdef", recipe.stage)
    assert (view.target, view.recipe, view.attempt) == ("cockpit", recipe_digest(recipe), "1/")
    assert view.template == template_digest(made)
    assert DNS_NAME.match(view.name)
    assert [owner["kind"] for owner in made["metadata"]["ownerReferences"]] == ["DMSModelDeployment"]
    request = StageRequest.model_validate_json(environment(pod(recipe))["DMS_REQUEST"])
    assert request.recipe == recipe


@EACH
def test_it_is_retried_as_often_as_the_rollout_says_and_ends_at_once_over_a_terminal_error(
    recipe: VehicleRecipe,
) -> None:
    made = job(recipe)["spec"]
    assert made["backoffLimit"] == 5
    fail, ignore = made["podFailurePolicy"]["rules"]
    assert (fail["action"], fail["onExitCodes"]["values"], ignore["action"]) == ("FailJob", [10], "Ignore")
    assert pod(recipe)["activeDeadlineSeconds"] == SETTINGS.deadline(recipe.stage)


@EACH
def test_it_is_restricted_in_all_but_the_folder_that_outlives_it(recipe: VehicleRecipe) -> None:
    found = pod(recipe)
    container = found["containers"][0]
    assert found["securityContext"]["runAsNonRoot"] and found["securityContext"]["runAsUser"] > 0
    assert found["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert [volume for volume in found["volumes"] if "hostPath" in volume] == [{"name": "dms-fleet", **HOST_PATH}]
    assert mounts(found) == {"/tmp": False, "/fleet": False}
    assert environment(found)["DMS_FLEET_FOLDER"] == "/fleet"
    assert environment(found)["DMS_NODE_NAME"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}


def test_prefetch_alone_has_the_store_and_its_credentials() -> None:
    folders = [
        {"name": name, "mountPath": f"/{name}", "source": {"persistentVolumeClaim": {"claimName": name}}}
        for name in ("models", "data", "artifacts", "sdk")
    ]
    settings = changed(**FLEET, storeSecret="store", volumes=folders)
    assert pod(PREFETCH, settings)["containers"][0]["envFrom"] == [{"secretRef": {"name": "store"}}]
    assert mounts(pod(PREFETCH, settings)) == {"/tmp": False, "/artifacts": True, "/sdk": False, "/fleet": False}
    for recipe in (ACTIVATE, DEACTIVATE):
        assert "envFrom" not in pod(recipe, settings)["containers"][0]
        assert mounts(pod(recipe, settings)) == {"/tmp": False, "/sdk": False, "/fleet": False}


def test_no_vehicle_gets_the_models_credentials() -> None:
    model = {"uri": "s3://models/driver.pt2", "secretRef": {"name": "model-store"}}
    for recipe in (PREFETCH, ACTIVATE, DEACTIVATE):
        assert "envFrom" not in pod(recipe, model=model)["containers"][0]


def test_vehicles_check_signatures_and_cannot_make_any() -> None:
    settings = changed(**FLEET, signing={"secret": "dms-signing"})
    for recipe in (PREFETCH, ACTIVATE):
        found = pod(recipe, settings)
        [secret] = [volume["secret"] for volume in found["volumes"] if "secret" in volume]
        assert [item["key"] for item in secret["items"]] == ["public.pem"]
        assert "DMS_VERIFICATION_KEY" in environment(found) and "DMS_SIGNING_KEY" not in environment(found)
    assert not any("secret" in volume for volume in pod(DEACTIVATE, settings)["volumes"])


def test_it_works_on_in_a_tunnel_and_on_a_vehicle_that_keeps_others_away() -> None:
    own = {"key": "example.com/line", "operator": "Exists"}
    tolerations = pod(ACTIVATE, changed(**FLEET, tolerations=[own]))["tolerations"]
    assert own in tolerations
    assert {"key": "dms.edge/vehicle", "operator": "Exists"} in tolerations
    assert {each["key"] for each in tolerations if each.get("effect") == "NoExecute"} == {
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    }


def test_resources_and_node_selectors_are_those_of_the_stage() -> None:
    npu = {"limits": {"qualcomm.com/npu": "1"}, "requests": {"memory": "256Mi"}}
    found = pod(ACTIVATE, changed(**FLEET, resources={"activate": npu}, nodeSelectors={"activate": {"ready": "yes"}}))
    assert found["containers"][0]["resources"] == npu
    assert found["nodeSelector"] == {"ready": "yes"}
    assert "nodeSelector" not in pod(PREFETCH)


def test_the_same_recipe_has_one_name_and_another_vehicle_another() -> None:
    names = {job(recipe)["metadata"]["name"] for recipe in (ACTIVATE, ACTIVATE, PREFETCH)}
    elsewhere = ACTIVATE.model_copy(update={"node": "car-8"})
    assert len(names | {job(elsewhere)["metadata"]["name"]}) == 3


def test_without_a_folder_for_the_fleet_there_is_no_job() -> None:
    with pytest.raises(ValueError, match=r"settings\.fleet"):
        job(ACTIVATE, SETTINGS)
