"""Nothing is used that the trusted key did not sign, down to the last byte and the papers beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from dms_operator.api.errors import SignatureInvalid, SigningUnavailable
from dms_operator.artifacts.attestation import Attestation, lay_out
from dms_operator.artifacts.signing import SIGNING_KEY_VARIABLE, Keys, keys_of_environment

DIGEST = "sha256:" + "1" * 64
PLAIN = Attestation(provenance={"from": "here"}, sbom={"of": "this"})


def key_pair(directory: Path) -> Keys:
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = directory / "private.pem", directory / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return Keys(private, public)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return key_pair(tmp_path / "keys")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"weights")
    return {"model.onnx": path}


def test_what_a_key_signed_it_verifies(keys: Keys, files: dict[str, Path], tmp_path: Path) -> None:
    signed = keys.sign(files, PLAIN, tmp_path)
    keys.verify(DIGEST, files, signed, tmp_path)
    assert keys.trusts(signed)


Change = Callable[[dict[str, Path], Attestation], Attestation]


def _other_bytes(files: dict[str, Path], signed: Attestation) -> Attestation:
    files["model.onnx"].write_bytes(b"weightz")
    return signed


def _one_file_more(files: dict[str, Path], signed: Attestation) -> Attestation:
    files["extra.bin"] = files["model.onnx"]
    return signed


def _one_file_less(files: dict[str, Path], signed: Attestation) -> Attestation:
    del files["model.onnx"]
    return signed


@pytest.mark.parametrize(
    "change",
    [
        _other_bytes,
        _one_file_more,
        _one_file_less,
        lambda _, signed: signed.model_copy(update={"provenance": {"from": "elsewhere"}}),
        lambda _, signed: signed.model_copy(update={"sbom": {}}),
        lambda _, signed: signed.model_copy(update={"signature": {"mediaType": "none"}}),
    ],
    ids=["other bytes", "a file more", "a file less", "other provenance", "other materials", "no signature in it"],
)
def test_any_change_breaks_the_signature(change: Change, keys: Keys, files: dict[str, Path], tmp_path: Path) -> None:
    changed = change(files, keys.sign(files, PLAIN, tmp_path))
    with pytest.raises(SignatureInvalid, match="does not hold"):
        keys.verify(DIGEST, files, changed, tmp_path)


def test_another_key_is_not_trusted(keys: Keys, files: dict[str, Path], tmp_path: Path) -> None:
    signed = key_pair(tmp_path / "other").sign(files, PLAIN, tmp_path)
    assert not keys.trusts(signed)
    with pytest.raises(SignatureInvalid, match="Find out who wrote it"):
        keys.verify(DIGEST, files, signed, tmp_path)


@pytest.mark.parametrize("attestation", [None, PLAIN])
def test_what_is_not_signed_is_not_used(
    attestation: Attestation | None, keys: Keys, files: dict[str, Path], tmp_path: Path
) -> None:
    assert not keys.trusts(attestation)
    with pytest.raises(SignatureInvalid, match="not signed"):
        keys.verify(DIGEST, files, attestation, tmp_path)


def test_without_keys_nothing_is_signed_and_nothing_asked_for(files: dict[str, Path], tmp_path: Path) -> None:
    assert Keys().sign(files, PLAIN, tmp_path) == PLAIN
    Keys().verify(DIGEST, files, None, tmp_path)


def test_a_key_that_is_named_but_not_there_stops_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, "/nowhere/private.pem")
    with pytest.raises(SigningUnavailable, match=r"settings\.signing"):
        keys_of_environment()


def test_a_key_of_another_kind_says_what_to_give(tmp_path: Path, files: dict[str, Path]) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("-----BEGIN NONSENSE-----")
    with pytest.raises(SigningUnavailable, match="elliptic-curve key in PEM"):
        Keys(private=wrong).sign(files, PLAIN, tmp_path)
    with pytest.raises(SigningUnavailable, match="elliptic-curve key in PEM"):
        _ = Keys(public=wrong).signer


def test_the_openssf_tool_itself_verifies_a_laid_out_artifact(
    keys: Keys, files: dict[str, Path], tmp_path: Path
) -> None:
    signed = keys.sign(files, PLAIN, tmp_path)
    tree = lay_out(files, signed, tmp_path / "artifact")
    (tmp_path / "model.sig").write_text(json.dumps(signed.signature))
    tool = [str(Path(sys.executable).with_name("model_signing")), "verify", "key", str(tree)]
    command = [*tool, "--signature", str(tmp_path / "model.sig"), "--public_key", str(keys.public)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (tree / "model.onnx").write_bytes(b"weightz")
    assert subprocess.run(command, capture_output=True).returncode != 0
