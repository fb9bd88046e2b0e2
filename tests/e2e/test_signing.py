"""Signed artifacts, end to end: the key comes from a Secret, and after a rotation nothing of the old key's is used."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import model_fixtures as fixtures
from artifacts.test_signing import key_pair
from dms_operator.artifacts.signing import Keys
from e2e.real_stages import RealStages, deployment
from e2e.running import REPOSITORY, Cluster, Kubectl, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SECRET = "dms-signing"


class Signed:
    """A namespace whose stages sign with the key of a Secret."""

    def __init__(self, kubectl: Kubectl, stages: RealStages, keys: Keys) -> None:
        self.kubectl, self.stages, self.keys = kubectl, stages, keys

    def ended(self, name: str) -> dict[str, Any]:
        def status() -> dict[str, Any]:
            found: dict[str, Any] = self.kubectl.json("get", "dmsd", name).get("status") or {}
            return found if found.get("phase") in ("Ready", "Failed") else {}

        return wait_for(status, 240, f"{name} comes to its end")

    def dms(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dms_operator.cli.main", *arguments]
        environment = {"PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(REPOSITORY / "operator")}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.fixture
def signed(cluster: Cluster, kubectl: Kubectl, tmp_path: Path) -> Iterator[Signed]:
    keys = key_pair(tmp_path / "keys")
    stages = RealStages(cluster, tmp_path)
    stages.settings |= {"signing": {"secret": SECRET}}
    fixtures.tiny_classifier(stages.path("models", "tiny.onnx"))
    fixtures.tiny_dataset(stages.path("data", "tiny.npz"))
    operator = stages.operator(cluster, kubectl)
    operator.start()
    operator.wait_ready()
    yield Signed(kubectl, stages, keys)
    operator.stop()


def _give(kubectl: Kubectl, keys: Keys) -> None:
    files = [f"--from-file={name}={getattr(keys, name.split('.')[0])}" for name in ("private.pem", "public.pem")]
    kubectl("delete", "secret", SECRET, "--ignore-not-found")
    kubectl("create", "secret", "generic", SECRET, *files)


def test_what_is_deployed_is_signed_by_the_secrets_key_a_forgery_is_refused_and_another_key_has_all_made_anew(
    signed: Signed, tmp_path: Path
) -> None:
    _give(signed.kubectl, signed.keys)
    signed.kubectl.apply(deployment("first"))
    ready = signed.ended("first")
    assert ready["phase"] == "Ready", ready["summary"]
    artifact = ready["targets"][0]["artifact"]
    assert artifact["signer"] == signed.keys.signer

    store = f"--store=file://{signed.stages.directory}/artifacts"
    checked = signed.dms("artifact", "verify", artifact["digest"], store, f"--key={signed.keys.public}")
    assert f"signed by key {signed.keys.signer}" in checked.stdout, checked.stderr
    fetched = signed.dms("artifact", "fetch", artifact["digest"], store, f"--into={tmp_path / 'fetched'}")
    assert fetched.returncode == 0, fetched.stderr
    assert {"provenance.json", "sbom.cdx.json"} == {path.name for path in (tmp_path / "fetched/attestation").iterdir()}

    # somebody with write access to the store, but without the key
    bundle = next((signed.stages.directory / "artifacts/attestations").glob(f"{artifact['digest'][7:]}.json"))
    bundle.write_text(bundle.read_text().replace("qcs8255", "tda4vm"))
    forged = signed.dms("artifact", "verify", artifact["digest"], store, f"--key={signed.keys.public}")
    assert (forged.returncode, "SignatureInvalid" in forged.stderr) == (1, True), forged.stdout

    other = key_pair(tmp_path / "other-keys")
    _give(signed.kubectl, other)
    signed.kubectl.apply(deployment("second"))
    second = signed.ended("second")
    assert second["phase"] == "Ready", second["summary"]
    assert second["targets"][0]["artifact"]["signer"] == other.signer
    store_folder = signed.stages.directory / "artifacts"
    made = {json.loads(path.read_text())["artifact"]["digest"][7:] for path in (store_folder / "recipes").iterdir()}
    papers = {path.stem: json.loads(path.read_text()) for path in (store_folder / "attestations").iterdir()}
    assert len(made) >= 4 and made <= papers.keys(), "papers lie beside every artifact"
    assert all(each["signature"] and each["sbom"] and each["provenance"] for each in papers.values())
