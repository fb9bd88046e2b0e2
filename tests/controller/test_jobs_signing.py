"""Which stage pods get the signing key, and how."""

import json

import pytest

from controller.builders import COCKPIT, changed, world
from dms_operator.api.stages import StageName
from dms_operator.controller.settings import Signing
from dms_operator.controller.signing import environment, mounts, volumes

SIGNING = Signing(secret="dms-signing")


def test_a_stage_that_writes_finds_both_keys_in_a_read_only_volume() -> None:
    [volume] = volumes("convert", SIGNING)
    [mount] = mounts("convert", SIGNING)
    assert volume["secret"]["secretName"] == "dms-signing"
    assert volume["secret"]["defaultMode"] == 0o440
    assert (mount["name"], mount["readOnly"]) == (volume["name"], True)
    paths = {entry["value"] for entry in environment("convert", SIGNING)}
    assert paths == {f"{mount['mountPath']}/{item['path']}" for item in volume["secret"]["items"]}


def test_removal_gets_no_key_and_without_signing_nobody_does() -> None:
    assert not (volumes("remove", SIGNING) or mounts("remove", SIGNING) or environment("remove", SIGNING))
    assert not (volumes("convert", None) or mounts("convert", None) or environment("convert", None))


@pytest.mark.parametrize("stage", ["prefetch", "activate"])
def test_a_stage_on_a_vehicle_that_checks_gets_the_public_key_alone(stage: StageName) -> None:
    [volume] = volumes(stage, SIGNING)
    assert volume["secret"]["items"] == [{"key": "public.pem", "path": "public.pem"}]
    assert [entry["name"] for entry in environment(stage, SIGNING)] == ["DMS_VERIFICATION_KEY"]


def test_deactivate_runs_without_the_secret_which_may_be_gone_by_then() -> None:
    assert not (volumes("deactivate", SIGNING) or mounts("deactivate", SIGNING) or environment("deactivate", SIGNING))


def test_pods_mount_the_secret_and_the_operator_never_reads_it() -> None:
    new = world(COCKPIT)
    new.settings = changed(signing={"secret": "dms-signing"})
    pods = [job["spec"]["template"]["spec"] for job in new.run().jobs.values()]
    assert {pod["volumes"][-1]["secret"]["secretName"] for pod in pods} == {"dms-signing"}
    assert "PRIVATE KEY" not in json.dumps(pods)
