"""Beside each artifact stands where it came from and what it is made of, in the formats that others read."""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement_pb2 import Statement

import dms_operator
import model_fixtures as fixtures
from artifacts.test_signing import key_pair
from dms_operator.api.errors import SignatureInvalid
from dms_operator.api.stages import BenchmarkRecipe, ConvertRecipe, QuantizeRecipe, Recipe, StageRequest, StageResult
from dms_operator.artifacts.signing import SIGNING_KEY_VARIABLE, VERIFICATION_KEY_VARIABLE, Keys
from dms_operator.artifacts.store import open_store
from dms_operator.pipeline.attest import attested
from dms_operator.pipeline.context import StageContext
from pipeline.stages import Stages, refused, succeeded

RECIPE = ConvertRecipe(image="converter:1", variant="sha256:" + "2" * 64, board="qcs8255", toolchain="qnn")
REQUEST = StageRequest(deployment="cars/driver", store="file:///artifacts", recipe=RECIPE)


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    store = open_store(f"file://{tmp_path}/store", (tmp_path,))
    return StageContext(store=store, workdir=tmp_path, keys=key_pair(tmp_path / "keys"))


def _stored(context: StageContext) -> tuple[str, dict[str, Path]]:
    files = {"model_ctx_qnn.bin": context.workdir / "bin", "manifest.json": context.workdir / "json"}
    for name, path in files.items():
        path.write_text(name)
    return attested(context.store.put(files), files, REQUEST, context).digest, files


def test_provenance_is_an_in_toto_statement_with_slsas_predicate(context: StageContext) -> None:
    digest, _ = _stored(context)
    found = context.store.attestation(digest)
    assert found is not None
    statement = ParseDict(found.provenance, Statement())
    assert {subject.name for subject in statement.subject} == {"model_ctx_qnn.bin", "manifest.json"}
    predicate = ParseDict(found.provenance["predicate"], Provenance())
    assert predicate.build_definition.external_parameters["board"] == "qcs8255"
    inputs = {each.name: each for each in predicate.build_definition.resolved_dependencies}
    assert inputs["variant"].digest["sha256"] == "2" * 64
    assert inputs["image"].uri == "converter:1"


def test_the_bill_of_materials_is_valid_cyclonedx_and_names_the_tools(context: StageContext) -> None:
    digest, _ = _stored(context)
    found = context.store.attestation(digest)
    assert found is not None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(found.sbom)) is None
    kinds = {component["name"]: component["type"] for component in found.sbom["components"]}
    assert kinds == {"model_ctx_qnn.bin": "machine-learning-model", "manifest.json": "file"}
    tools = {tool["name"]: tool["version"] for tool in found.sbom["metadata"]["tools"]["components"]}
    assert tools["onnxruntime"]


def _predicate(stages: Stages, result: StageResult) -> Provenance:
    assert succeeded(result).artifact is not None and result.artifact
    found = stages.store.attestation(result.artifact.digest)
    assert found is not None
    return ParseDict(found.provenance["predicate"], Provenance())


def test_from_the_model_and_the_data_to_the_boards_file_each_provenance_names_its_inputs_by_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DMS_FILE_ROOTS", str(tmp_path))
    stages = Stages(tmp_path)
    model, data = fixtures.tiny_classifier(tmp_path / "tiny.onnx"), fixtures.tiny_dataset(tmp_path / "tiny.npz")
    resolved = stages.resolve(model, data)
    variant = stages.quantize(_digest(resolved))
    compiled = stages.run(_convert(_digest(variant)))
    inputs = [
        {each.name: each.digest["sha256"] for each in _predicate(stages, result).build_definition.resolved_dependencies}
        for result in (resolved, variant, compiled)
    ]
    assert inputs == [
        {
            "image": "",
            "model": sha256(model.read_bytes()).hexdigest(),
            "dataset": sha256(data.read_bytes()).hexdigest(),
        },
        {"image": "", "resolved": _digest(resolved)[7:]},
        {"image": "", "variant": _digest(variant)[7:]},
    ]
    for result in (resolved, variant):
        tools = _predicate(stages, result).run_details.builder.version
        assert {name: tools[name] for name in ("onnx", "onnxruntime", "torch")} == {
            name: version(name) for name in ("onnx", "onnxruntime", "torch")
        }
    built_by = _predicate(stages, compiled).run_details.builder
    assert (built_by.id, built_by.version["dms-operator"]) == ("dms-operator/convert", dms_operator.__version__)
    assert compiled.compiled is not None and built_by.version["compiler"] == compiled.compiled.tool_version


def _convert(variant: str) -> ConvertRecipe:
    return ConvertRecipe(image="test", variant=variant, board="generic-x86", toolchain="onnxruntime")


def _digest(result: StageResult) -> str:
    artifact = succeeded(result).artifact
    assert artifact is not None
    return artifact.digest


def test_a_fetched_artifact_is_verified_before_it_is_used(context: StageContext) -> None:
    digest, files = _stored(context)
    assert context.fetch(digest).keys() == files.keys()
    other = StageContext(context.store, context.workdir / "other", keys=key_pair(context.workdir / "other-keys"))
    with pytest.raises(SignatureInvalid):
        other.fetch(digest)


def test_papers_go_with_their_artifact(context: StageContext) -> None:
    digest, _ = _stored(context)
    context.store.remove([digest], [])
    assert context.store.attestation(digest) is None


class Signed:
    """Real stages with keys in their environment."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stages = Stages(root)
        self._monkeypatch = monkeypatch

    def trust(self, keys: Keys | None) -> None:
        for name, path in ((SIGNING_KEY_VARIABLE, "private"), (VERIFICATION_KEY_VARIABLE, "public")):
            if keys is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, str(getattr(keys, path)))


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signed:
    monkeypatch.setenv("DMS_FILE_ROOTS", str(tmp_path))
    return Signed(tmp_path, monkeypatch)


def _resolve(signed: Signed) -> StageResult:
    model = fixtures.tiny_classifier(signed.stages.root / "tiny.onnx")
    return signed.stages.resolve(model, fixtures.tiny_dataset(signed.stages.root / "tiny.npz"))


def test_a_stage_signs_and_the_next_refuses_what_another_key_signed(signed: Signed, tmp_path: Path) -> None:
    ours = key_pair(tmp_path / "ours")
    signed.trust(ours)
    resolved = succeeded(_resolve(signed)).artifact
    assert resolved is not None and resolved.signer == ours.signer
    succeeded(signed.stages.quantize(resolved.digest))
    signed.trust(key_pair(tmp_path / "theirs"))
    assert "signature" in refused(signed.stages.quantize(resolved.digest, seed=1), "SignatureInvalid")


def test_a_cached_result_that_is_not_signed_is_made_anew_once_signing_is_on(signed: Signed, tmp_path: Path) -> None:
    resolved = succeeded(_resolve(signed)).artifact
    assert resolved is not None and resolved.signer is None
    assert not succeeded(signed.stages.quantize(resolved.digest)).cached
    assert succeeded(signed.stages.quantize(resolved.digest)).cached
    signed.trust(key_pair(tmp_path / "ours"))
    again = succeeded(_resolve(signed)).artifact
    assert again is not None and (again.digest, bool(again.signer)) == (resolved.digest, True)
    anew = succeeded(signed.stages.quantize(again.digest))
    assert not anew.cached and anew.artifact is not None and anew.artifact.signer


def test_no_stage_uses_one_single_input_that_lost_its_signature(signed: Signed, tmp_path: Path) -> None:
    signed.trust(key_pair(tmp_path / "ours"))
    stages = signed.stages
    resolved = _digest(_resolve(signed))
    reference = _digest(stages.quantize(resolved))
    compiled = _digest(stages.run(_convert(reference)))
    int8 = QuantizeRecipe(
        image="test", resolved=resolved, reference=reference, precision="int8", method="static", toolchain="onnxruntime"
    )
    benchmark = BenchmarkRecipe(
        image="test",
        resolved=resolved,
        variant=reference,
        compiled=compiled,
        board="generic-x86",
        toolchain="onnxruntime",
    )
    uses: list[tuple[Recipe, tuple[str, ...]]] = [
        (int8, (resolved, reference)),
        (_convert(reference).model_copy(update={"image": "other"}), (reference,)),
        (benchmark, (resolved, reference, compiled)),
    ]
    for recipe, inputs in uses:
        for digest in inputs:
            papers = stages.store.attestation(digest)
            assert papers is not None and papers.signature
            stages.store.attest(digest, papers.model_copy(update={"signature": None}))
            assert "is not signed" in refused(stages.run(recipe), "SignatureInvalid"), recipe.stage
            stages.store.attest(digest, papers)
        succeeded(stages.run(recipe))
