"""Artifacts and models in an object store: real clients against a server of S3's protocol."""

import json
import os
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from e2e.running import REPOSITORY
from tools import get_s3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MODEL, PUT, MANIFEST = "model", "put", "manifest"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    scratch = tmp_path_factory.mktemp("s3")
    command = [get_s3.python(), Path(__file__).with_name("on_s3.py"), scratch]
    environment = {"PATH": os.environ["PATH"], "HOME": str(scratch), "PYTHONPATH": str(REPOSITORY / "operator")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_files_come_back_as_they_were_also_those_that_go_in_parts(found: dict[str, Any]) -> None:
    assert found["same"] == {"small": True, "large": True}
    assert found["again"] is True


def test_results_and_papers_are_found_again(found: dict[str, Any]) -> None:
    assert (found["cached"], found["unknown"], found["papers"]) == (True, None, {"of": "both"})


def test_what_is_removed_is_gone_and_what_another_artifact_shares_stays(found: dict[str, Any]) -> None:
    assert found["freed"] == 60 << 20
    assert (found["afterwards"], found["shared"]) == ([None, None], "weights")
    assert found["gone"][0] == "ArtifactMissing"


def test_a_model_is_fetched_within_its_limit(found: dict[str, Any]) -> None:
    assert found["digest"] == f"sha256:{sha256(b'model').hexdigest()}"
    assert found["large"][0] == "SourceRefused"


def test_a_bucket_that_is_not_there_is_named_and_nothing_is_tried_again(found: dict[str, Any]) -> None:
    assert found["no bucket"][MODEL][:2] == ["SourceNotFound", False]
    reason, retryable, message = found["no bucket"][PUT]
    assert (reason, retryable) == ("StoreUnwritable", False)
    assert "bucket nowhere" in message and "spec.artifacts.uri" in message
    assert found["no bucket"][MANIFEST][0] == "ArtifactMissing"


def test_a_pod_without_credentials_says_so(found: dict[str, Any]) -> None:
    assert found["no keys"][MODEL][:2] == ["SourceRefused", False]
    assert found["no keys"][PUT][:2] == ["StoreUnwritable", False]
    assert all("the pod has no credentials" in told[2] for told in found["no keys"].values())
    assert "storeSecret" in found["no keys"][PUT][2] and "spec.model.secretRef" in found["no keys"][MODEL][2]


def test_a_server_that_does_not_answer_is_asked_again_later(found: dict[str, Any]) -> None:
    told = {what: answer[:2] for what, answer in found["no server"].items()}
    assert told == {
        MODEL: ["SourceUnavailable", True],
        PUT: ["StoreUnavailable", True],
        MANIFEST: ["StoreUnavailable", True],
    }


def test_no_message_holds_a_key(found: dict[str, Any]) -> None:
    assert "canary-6f1e" not in json.dumps([found[when] for when in ("no bucket", "no keys", "no server")])
