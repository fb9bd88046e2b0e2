"""Whatever happens in a stage, its pod answers once, in at most 4 KiB, with the right exit code."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import model_fixtures
from dms_operator.api.errors import SourceUnavailable, StoreUnwritable
from dms_operator.api.stages import (
    BenchmarkFacts,
    BenchmarkRecipe,
    CompiledFacts,
    Delegation,
    Failure,
    LatencyFacts,
    ResolveRecipe,
    StageResult,
)
from dms_operator.api.vehicle import DeactivateRecipe
from dms_operator.artifacts.store import Store
from dms_operator.pipeline import pod, runner, termination
from dms_operator.pipeline.context import StageContext, StageOutput
from dms_operator.pipeline.golden import GOLDEN
from dms_operator.pipeline.progress import ProgressPrinter
from pipeline.stages import Stages, refused, succeeded

RECIPE = "sha256:" + "0" * 64
HELD_STAGE = """
import os, sys, time
from pathlib import Path
from dms_operator.pipeline import pod, runner
def held(request, workdir, progress):
    (Path(workdir) / "half-written").touch()
    print("started", workdir, flush=True)
    time.sleep(600)
pod.run = held
sys.exit(pod.main())
"""


def failing(stages: Stages, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> StageResult:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(runner, "stage_function", lambda _: fail)
    return stages.run(ResolveRecipe(image="test", model_uri="file:///models/net"))


def test_a_domain_error_is_passed_on_in_its_own_words(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    result = failing(stages, monkeypatch, SourceUnavailable("the server sleeps"))
    assert result.failure == Failure(reason="SourceUnavailable", message="the server sleeps", retryable=True)
    assert pod.exit_code(result) == 1


def test_an_unexpected_error_is_retryable_and_logged_with_its_traceback(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    result = failing(stages, monkeypatch, ZeroDivisionError("by zero"))
    assert result.failure == Failure(reason="InternalError", message="ZeroDivisionError: by zero", retryable=True)
    assert "Traceback" in caplog.text


def test_lack_of_memory_says_what_to_raise(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = failing(stages, monkeypatch, MemoryError()).failure
    assert failure is not None
    assert (failure.reason, failure.retryable) == ("OutOfMemory", True)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(code: int, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = failing(stages, monkeypatch, OSError(code, os.strerror(code))).failure
    assert failure is not None
    assert (failure.reason, failure.retryable) == ("StoreFull", True)


def test_a_read_only_store_ends_the_stage_with_exit_code_10(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise StoreUnwritable("read-only")

    monkeypatch.setattr(Store, "put", refuse)
    result = stages.resolve(model_fixtures.tiny_classifier(stages.root / "net.onnx"))
    refused(result, "StoreUnwritable")
    assert pod.exit_code(result) == 10


def test_a_store_outside_the_roots_is_refused(stages: Stages) -> None:
    request = stages.request(ResolveRecipe(image="test", model_uri="file:///models/net"))
    result = runner.run(request.model_copy(update={"store": "file:///etc/store"}), stages.root)
    assert "outside the allowed directories" in refused(result, "SourceRefused")


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "file:///models/../etc/passwd", "gopher://x/y", "net.onnx"])
def test_a_hostile_model_uri_is_one_terminal_message(uri: str, stages: Stages) -> None:
    refused(stages.run(ResolveRecipe(image="test", model_uri=uri)), "SourceRefused")


def test_the_cache_is_asked_before_any_work(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    facts = succeeded(stages.resolve(model)).model
    assert facts is not None
    pinned = facts.digest
    succeeded(stages.resolve(model, model_sha256=pinned))
    model.unlink()
    assert stages.resolve(model, model_sha256=pinned).cached


texts = st.text(max_size=6000)


@given(texts, st.sampled_from(["ModelInvalid", "InternalError"]))
def test_an_answer_is_whole_json_of_at_most_4096_bytes(message: str, reason: str) -> None:
    failure = Failure(reason=reason, message=termination.printable(message), retryable=False)
    text = termination.encoded(StageResult(stage="resolve", recipe=RECIPE, failure=failure))
    assert len(text) <= 4096
    read = StageResult.model_validate_json(text)
    assert read.failure is not None
    assert read.failure.reason == reason


def test_long_lists_and_notes_are_cut_but_figures_are_not() -> None:
    latency = LatencyFacts(provenance="host", p50="1ms", source="s" * 3000, notes="é" * 3000)  # type: ignore[arg-type]
    result = StageResult(stage="benchmark", recipe=RECIPE, benchmark=BenchmarkFacts(latencies=[latency]))
    text = termination.encoded(result)
    assert len(text) <= 4096
    read = StageResult.model_validate_json(text).benchmark
    assert read is not None
    assert read.latencies[0].p50 == "1ms"


def test_many_operators_left_on_the_cpu_fit() -> None:
    delegation = Delegation(npu=1, total=99, left_on_cpu=["x" * 900] * 10)
    facts = CompiledFacts(
        toolchain="qnn", tool_version="1", soc="SA8255", architecture="v73", delegation=delegation, size_bytes=1
    )
    text = termination.encoded(StageResult(stage="convert", recipe=RECIPE, compiled=facts))
    assert len(text) <= 4096
    read = StageResult.model_validate_json(text).compiled
    assert read is not None
    assert (read.delegation.npu, read.delegation.total) == (1, 99)


def test_what_cannot_be_cut_becomes_a_failure() -> None:
    facts = CompiledFacts(
        toolchain="qnn",
        tool_version="1" * 9000,
        soc="",
        architecture="",
        delegation=Delegation(npu=1, total=1),
        size_bytes=1,
    )
    read = StageResult.model_validate_json(
        termination.encoded(StageResult(stage="convert", recipe=RECIPE, compiled=facts))
    )
    assert read.failure is not None
    assert "9" in read.failure.message


def test_progress_lines_are_rare_but_first_and_last_are_always_there(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    report = ProgressPrinter(clock=lambda: now[0])
    for done in range(1, 1001):
        now[0] += 0.01
        report("calibrate", done, 1000)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "@progress calibrate 1/1000"
    assert lines[-1] == "@progress calibrate 1000/1000"
    assert len(lines) <= 22


def pod_environment(stages: Stages, **variables: str) -> dict[str, str]:
    source = Path(pod.__file__).parents[2]
    return {
        **os.environ,
        "PYTHONPATH": str(source),
        "DMS_TERMINATION_LOG": str(stages.root / "log"),
        "DMS_WORKDIR": str(stages.root),
        **variables,
    }


def test_a_pod_takes_its_request_from_the_environment_and_leaves_its_answer(stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    request = stages.request(ResolveRecipe(image="test", model_uri=f"file://{model}")).model_dump_json(by_alias=True)
    code = "import sys; from dms_operator.pipeline.pod import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=pod_environment(stages, DMS_REQUEST=request),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answer = StageResult.model_validate_json((stages.root / "log").read_bytes())
    assert answer.model is not None
    assert f"@result {(stages.root / 'log').read_text()}" in ended.stdout
    assert not list(stages.root.glob("dms-stage-*"))


def test_a_pods_json_lines_carry_deployment_stage_and_target_and_on_a_vehicle_the_revision(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DMS_LOG_FORMAT", "json")
    monkeypatch.setattr(logging.root, "handlers", [])
    resolve = ResolveRecipe(image="test", model_uri="file:///etc/passwd")
    vehicle = DeactivateRecipe(
        image="test", node="car-1", deployment="perception/driver-monitor", revision="4ccdf50dc437"
    )
    for recipe in (resolve, vehicle):
        request = stages.request(recipe).model_copy(update={"target": "cockpit"})
        (stages.root / "request.json").write_text(request.model_dump_json(by_alias=True))
        pod.main([str(stages.root / "request.json")])
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    about = {"deployment": "perception/driver-monitor", "target": "cockpit"}
    for stage, more in (("resolve", {}), ("deactivate", {"revision": "4ccdf50dc437"})):
        told = [line for line in lines if line["stage"] == stage]
        assert all((about | more).items() <= line.items() for line in told)
        assert told[0]["message"] == f"{stage} begins" and told[-1]["message"].startswith(f"{stage} failed (")


def test_in_a_sandbox_scratch_and_answer_stay_inside(stages: Stages, tmp_path: Path) -> None:
    sandbox = tmp_path / "sandbox"
    (sandbox / "tmp").mkdir(parents=True)
    request = stages.request(ResolveRecipe(image="test", model_uri="file:///models/net"))
    environment = pod_environment(
        stages,
        DMS_REQUEST=request.model_dump_json(by_alias=True),
        CONTAINER_SANDBOX_MOUNT_POINT=str(sandbox),
        TMPDIR="/tmp",
    )
    del environment["DMS_TERMINATION_LOG"], environment["DMS_WORKDIR"]
    process = subprocess.Popen([sys.executable, "-c", HELD_STAGE], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    workdir = Path(process.stdout.readline().split()[1])
    process.terminate()
    process.wait(timeout=60)
    process.stdout.close()
    assert workdir.parent == sandbox / "tmp"


def test_a_request_that_cannot_be_read_is_terminal(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMS_TERMINATION_LOG", str(stages.root / "log"))
    (stages.root / "request.json").write_text('{"stage": "nonsense"}')
    assert pod.main([str(stages.root / "request.json")]) == 10
    assert "cannot be read" in (stages.root / "log").read_text()


def test_a_replay_in_this_process_leaves_signals_and_temporary_directory_as_they_were(stages: Stages) -> None:
    before = (signal.getsignal(signal.SIGTERM), tempfile.gettempdir())
    request = stages.request(ResolveRecipe(image="test", model_uri="file:///etc/passwd"))
    (stages.root / "request.json").write_text(request.model_dump_json(by_alias=True))
    assert pod.main([str(stages.root / "request.json")]) == 10
    assert (signal.getsignal(signal.SIGTERM), tempfile.gettempdir()) == before


def test_sigterm_ends_a_pod_at_once_and_removes_its_scratch_files(stages: Stages) -> None:
    request = stages.request(ResolveRecipe(image="test", model_uri="file:///models/net"))
    environment = pod_environment(stages, DMS_REQUEST=request.model_dump_json(by_alias=True))
    process = subprocess.Popen([sys.executable, "-c", HELD_STAGE], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    workdir = Path(process.stdout.readline().split()[1])
    assert (workdir / "half-written").exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    process.stdout.close()
    assert not workdir.exists()


def test_a_noisy_benchmark_is_not_kept_as_the_answer_for_ever(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = BenchmarkRecipe(
        image="i", resolved=RECIPE, variant=RECIPE, compiled=RECIPE, board="generic-x86", toolchain="onnxruntime"
    )
    noisy = iter([True, False, True])

    def stage(recipe: BenchmarkRecipe, context: StageContext) -> StageOutput:
        figure = LatencyFacts.model_validate(
            {"provenance": "measured", "p50": "1ms", "source": "a board", "noisy": next(noisy)}
        )
        report = context.scratch("benchmark") / "report.json"
        report.write_text("{}")
        golden = context.scratch("benchmark") / GOLDEN
        golden.write_bytes(b"outputs")
        return {"report.json": report, GOLDEN: golden}, BenchmarkFacts(latencies=[figure])

    monkeypatch.setattr(runner, "stage_function", lambda _: stage)
    assert [succeeded(stages.run(recipe)).cached for _ in range(3)] == [False, False, True]
