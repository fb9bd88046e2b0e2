"""What is switched to has proved itself: whole, signed, for this board, loaded, and computing what was benchmarked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts.test_signing import key_pair
from dms_operator.api.stages import TIME_LIMIT_VARIABLE, StageResult
from dms_operator.artifacts.attestation import Attestation
from dms_operator.artifacts.signing import VERIFICATION_KEY_VARIABLE
from dms_operator.artifacts.store import Store, open_store
from dms_operator.pipeline.golden import GOLDEN, Golden
from dms_operator.pipeline.machine import age_seconds
from dms_operator.pipeline.vehicle.folder import Folder
from pipeline.stages import refused, succeeded
from pipeline.vehicle.disk import Release, Vehicle
from pipeline.vehicle.releases import Factory


@pytest.fixture
def store(factory: Factory) -> Store:
    return open_store(factory.store)


def other_benchmark(release: Release, store: Store, directory: Path, change: Any) -> Release:
    """The release with another artifact of its benchmark: `change` works on the files."""
    files = store.fetch(release.benchmark, directory / "benchmark")
    return replace(release, benchmark=store.put(change(files)).digest)


def wrong_by(amount: float) -> Any:
    def change(files: dict[str, Path]) -> dict[str, Path]:
        golden = Golden.load(files[GOLDEN])
        outputs = [{name: array + np.float32(amount) for name, array in each.items()} for each in golden.outputs]
        replace(golden, outputs=outputs).save(files[GOLDEN])
        return files

    return change


def test_a_vehicle_that_computes_something_else_keeps_what_it_ran(
    running: Vehicle, releases: list[Release], store: Store, tmp_path: Path
) -> None:
    wrong = other_benchmark(releases[1], store, tmp_path, wrong_by(10.0))
    succeeded(running.prefetch(wrong))
    message = refused(running.activate(wrong), "GoldenMismatch")
    assert "output logits differs by 10 from the golden one (measured)" in message and "is allowed" in message
    assert running.current == releases[0].revision and not (running.folder / "before").is_symlink()


def test_a_difference_within_the_tolerance_is_told_and_healthy(
    running: Vehicle, releases: list[Release], store: Store, tmp_path: Path
) -> None:
    near = other_benchmark(releases[1], store, tmp_path, wrong_by(1e-3))
    succeeded(running.prefetch(near))
    facts = succeeded(running.activate(near)).vehicle
    assert facts is not None and facts.tolerance is not None
    assert facts.deviation is not None and facts.deviation < facts.tolerance
    assert facts.deviation == pytest.approx(1e-3, rel=0.01)


def test_golden_outputs_of_another_model_do_not_pass(
    running: Vehicle, releases: list[Release], store: Store, tmp_path: Path
) -> None:
    """The tolerance is no blank cheque: a net whose classes are in another order is told from this one."""

    def swap(files: dict[str, Path]) -> dict[str, Path]:
        of_other = Golden.load(store.fetch(releases[2].benchmark, tmp_path / "other")[GOLDEN])
        replace(of_other, compiled=releases[1].compiled).save(files[GOLDEN])
        return files

    wrong = other_benchmark(releases[1], store, tmp_path, swap)
    succeeded(running.prefetch(wrong))
    refused(running.activate(wrong), "GoldenMismatch")
    mixed = replace(releases[1], benchmark=releases[2].benchmark)
    succeeded(running.prefetch(mixed))
    assert "belong to another artifact" in refused(running.activate(mixed), "GoldenMissing")


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no zip", b"\x93NUMPY"])
def test_a_benchmark_without_golden_outputs_is_told_with_what_to_do(
    running: Vehicle, releases: list[Release], store: Store, tmp_path: Path, content: bytes | None
) -> None:
    def without(files: dict[str, Path]) -> dict[str, Path]:
        if content is None:
            del files[GOLDEN]
        else:
            files[GOLDEN].write_bytes(content)
        return files

    old = other_benchmark(releases[1], store, tmp_path, without)
    succeeded(running.prefetch(old))
    assert "Let the benchmark run anew" in refused(running.activate(old), "GoldenMissing")
    assert running.current == releases[0].revision


def test_a_runtime_that_refuses_the_inference_is_told_in_its_words(
    running: Vehicle, releases: list[Release], store: Store, tmp_path: Path
) -> None:
    def renamed(files: dict[str, Path]) -> dict[str, Path]:
        golden = Golden.load(files[GOLDEN])
        inputs = [{f"{name}_2": array for name, array in each.items()} for each in golden.inputs]
        replace(golden, inputs=inputs).save(files[GOLDEN])
        return files

    strange = other_benchmark(releases[1], store, tmp_path, renamed)
    succeeded(running.prefetch(strange))
    failure = running.activate(strange).failure
    assert failure is not None and failure.reason == "SmokeRunFailed" and "frames_2" in failure.message
    assert running.current == releases[0].revision


def test_an_old_benchmark_is_run_again_where_its_job_runs_again(
    factory: Factory, releases: list[Release], store: Store, tmp_path: Path
) -> None:
    recipe = factory.benchmark(releases[0])
    found = succeeded(factory.run(recipe)).model_copy(update={"cached": False})
    assert found.artifact is not None
    store.record(found)
    assert succeeded(factory.run(recipe)).cached
    report = store.fetch(found.artifact.digest, tmp_path)["report.json"]
    store.record(found.model_copy(update={"artifact": store.put({"report.json": report})}))
    again = succeeded(factory.run(recipe))
    assert not again.cached and again.artifact and GOLDEN in store.manifest(again.artifact.digest)


def _spoilt(part: str, spoil: Any, result: Any, monkeypatch: pytest.MonkeyPatch) -> StageResult:
    """Run a stage while a file of the revision breaks right after the switch."""
    switch = Folder.switch

    def switched(folder: Folder, name: str) -> None:
        switch(folder, name)
        path = folder.current_link / part
        path.write_bytes(spoil(path.read_bytes()))

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "switch", switched)
        found: StageResult = result()
        return found


def test_what_fails_after_the_switch_is_switched_back(
    running: Vehicle, releases: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(running.prefetch(releases[1]))
    activate = lambda: running.activate(releases[1])  # noqa: E731
    message = refused(_spoilt("compiled/model.onnx", lambda _: b"rot", activate, monkeypatch), "ConversionFailed")
    assert "cannot load the model" in message
    assert running.current == releases[0].revision
    assert "is not what artifact" in refused(running.activate(releases[1]), "DigestMismatch")
    running.update(releases[1])
    assert running.current == releases[1].revision


def test_the_first_revision_that_fails_after_the_switch_leaves_nothing_current(
    vehicle: Vehicle, releases: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(vehicle.prefetch(releases[0]))
    activate = lambda: vehicle.activate(releases[0])  # noqa: E731
    refused(_spoilt("compiled/model.onnx", lambda _: b"rot", activate, monkeypatch), "ConversionFailed")
    assert vehicle.current is None


def test_a_current_revision_that_rots_is_told_and_mended_by_prefetch(running: Vehicle, releases: list[Release]) -> None:
    model = running.folder / "current" / "compiled" / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(running.activate(releases[0]), "DigestMismatch")
    assert running.current == releases[0].revision, "nothing to go back to is not better"
    succeeded(running.prefetch(releases[0]))
    assert model.read_bytes() == whole
    succeeded(running.activate(releases[0]))


_RUNTIME = """
import os, signal, sys, time
from pathlib import Path
left = Path(os.environ["RUNTIME_GOOD_RUNS"])
runs = int(left.read_text())
left.write_text(str(runs - 1))
if runs <= 0:
    {bad}
sys.path.remove(os.path.dirname(__file__))
del sys.modules["onnxruntime"]
import onnxruntime
"""


@pytest.fixture
def bad_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A vehicle whose runtime goes bad after so many runs."""

    def install(bad: str, good_runs: int) -> None:
        (tmp_path / "runtime").mkdir(exist_ok=True)
        (tmp_path / "runtime" / "onnxruntime.py").write_text(_RUNTIME.format(bad=bad))
        (tmp_path / "runs").write_text(str(good_runs))
        monkeypatch.setenv("RUNTIME_GOOD_RUNS", str(tmp_path / "runs"))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "runtime"))

    return install


@pytest.mark.parametrize("good_runs", [0, 1])
def test_a_runtime_that_crashes_before_or_after_the_switch_takes_nothing_with_it(
    running: Vehicle, releases: list[Release], bad_runtime: Any, good_runs: int
) -> None:
    succeeded(running.prefetch(releases[1]))
    bad_runtime("os.kill(os.getpid(), signal.SIGSEGV)", good_runs)
    failure = running.activate(releases[1]).failure
    assert failure is not None and failure.reason == "SmokeRunFailed" and failure.retryable
    assert "died by SIGSEGV" in failure.message
    assert running.current == releases[0].revision and not (running.folder / "before").is_symlink()


def test_a_runtime_that_hangs_after_the_switch_is_ended_and_switched_back(
    running: Vehicle, releases: list[Release], bad_runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(running.prefetch(releases[1]))
    bad_runtime("time.sleep(600)", 1)
    monkeypatch.setenv(TIME_LIMIT_VARIABLE, str((age_seconds() + 4) / 0.9))
    failure = running.activate(releases[1]).failure
    assert failure is not None and "hung" in failure.message and failure.retryable
    assert running.current == releases[0].revision


@pytest.fixture
def signed(releases: list[Release], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """The first release, signed by a key that the vehicle trusts."""
    keys = key_pair(tmp_path / "keys")
    for digest in (releases[0].compiled, releases[0].benchmark):
        files = store.fetch(digest, tmp_path / digest)
        plain = store.attestation(digest)
        assert isinstance(plain, Attestation)
        store.attest(digest, keys.sign(files, plain.model_copy(update={"signature": None}), tmp_path))
    monkeypatch.setenv(VERIFICATION_KEY_VARIABLE, str(keys.public))
    return releases[0]


def test_a_signature_is_checked_again_on_the_vehicle_without_a_store(vehicle: Vehicle, signed: Release) -> None:
    succeeded(vehicle.prefetch(signed))
    vehicle.online = False
    succeeded(vehicle.activate(signed))
    papers = vehicle.folder / "current" / "papers" / "compiled.json"
    document = json.loads(papers.read_text())
    document["attestation"]["sbom"]["components"] = []
    papers.write_text(json.dumps(document))
    refused(vehicle.activate(signed), "SignatureInvalid")


def test_nothing_that_is_not_signed_reaches_the_disk(
    vehicle: Vehicle, signed: Release, releases: list[Release]
) -> None:
    assert "is not signed" in refused(vehicle.prefetch(releases[1]), "SignatureInvalid")
    assert vehicle.revisions == set()


def test_a_revision_that_another_key_signed_is_not_activated(
    vehicle: Vehicle, signed: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(vehicle.prefetch(signed))
    monkeypatch.setenv(VERIFICATION_KEY_VARIABLE, str(key_pair(tmp_path / "other").public))
    refused(vehicle.activate(signed), "SignatureInvalid")
    assert vehicle.current is None
