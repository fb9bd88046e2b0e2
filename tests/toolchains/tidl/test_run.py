"""On the board: TI's execution provider loaded and timed, against the fake in a process whose onnxruntime it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dms_operator
from dms_operator.api.errors import ConversionFailed, ToolchainUnavailable, WrongTarget
from dms_operator.api.target_options.tidl_socs import soc_named
from dms_operator.toolchains.loading import open_session
from dms_operator.toolchains.tidl import Tidl, run
from dms_operator.toolchains.tidl.benchmark_data import parse_statistics
from toolchains.conftest import silent
from toolchains.tidl.conftest import FAKE_SITE

ON_BOARD = """
import json, sys
from pathlib import Path
import numpy as np
from dms_operator.toolchains.loading import open_session
from dms_operator.toolchains.tidl import Tidl
directory = Path(sys.argv[1])
session = open_session(Tidl().loading(directory), directory)
inputs = {"frames": np.ones((1, 3, 16, 16), np.float32)}
outputs = session.run(inputs)
session.query(inputs)()
statistics = session.statistics()
print(json.dumps([outputs["logits"].shape, statistics.core_ms, statistics.npu_ms, statistics.ddr_read_mb]))
"""


@pytest.mark.usefixtures("ti_tools")
def test_a_board_runs_the_artifact_and_tells_its_times(powers_qdq: Path, workdir: Path) -> None:
    Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    environment = os.environ | {"PYTHONPATH": f"{FAKE_SITE}{os.pathsep}{Path(dms_operator.__file__).parents[1]}"}
    command = [sys.executable, "-c", ON_BOARD, str(workdir)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout.splitlines()[-1]) == [[1, 3], 2.2, 2.0, 3.0]


@pytest.mark.usefixtures("ti_tools")
def test_without_tis_runtime_nothing_is_loaded(powers_qdq: Path, workdir: Path) -> None:
    Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    assert not Tidl().has_target("tda4vm")
    with pytest.raises(ToolchainUnavailable, match="no TIDLExecutionProvider"):
        open_session(Tidl().loading(workdir), workdir)
    manifest = json.loads((workdir / "manifest.json").read_text())
    manifest["compiled"]["soc"] = "J721S2"
    (workdir / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WrongTarget, match="compiled for J721S2, the board carries J721E"):
        Tidl().loading(workdir)


@pytest.mark.parametrize(
    ("compatible", "providers", "expected"),
    [
        (b"ti,j721e-sk\0ti,j721e\0", [run.PROVIDER], True),
        (b"ti,j721e-sk\0ti,j721e\0", ["CPUExecutionProvider"], False),
        (b"ti,j721s2-evm\0ti,j721s2\0", [run.PROVIDER], False),
    ],
)
def test_a_board_is_known_by_its_device_tree_and_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compatible: bytes, providers: list[str], expected: bool
) -> None:
    (tmp_path / "compatible").write_bytes(compatible)
    monkeypatch.setattr(run, "COMPATIBLE", tmp_path / "compatible")
    monkeypatch.setattr(run, "_providers", lambda: providers)
    assert run.is_board(soc_named("J721E")) is expected


def counters(parts: int) -> dict[str, int]:
    data = {"ts:run_start": 0, "ts:run_end": 10_000_000, "ddr:read_start": 5, "ddr:read_end": 2_000_005}
    data |= {"ddr:write_start": 0, "ddr:write_end": 1_000_000}
    for part in range(parts):
        for step, start, end in (("copy_in", 0, 1), ("proc", 1, 4), ("copy_out", 4, 5)):
            data |= {f"ts:subgraph_{part}_{step}_start": start * 10**6, f"ts:subgraph_{part}_{step}_end": end * 10**6}
    return data


def test_copies_are_taken_out_of_the_time_of_a_whole_model() -> None:
    one = parse_statistics(counters(1))
    assert (one.total_ms, one.core_ms, one.npu_ms) == (10.0, 8.0, 3.0)
    assert (one.ddr_read_mb, one.ddr_write_mb) == (2.0, 1.0)


def test_several_parts_keep_their_copies_and_are_listed() -> None:
    two = parse_statistics(counters(2))
    assert (two.core_ms, two.npu_ms, two.subgraph_ms) == (10.0, 6.0, {"0": 3.0, "1": 3.0})


def test_a_counter_that_wraps_does_not_go_negative() -> None:
    data = counters(1) | {"ddr:read_start": 2**64 - 1_000_000, "ddr:read_end": 1_000_000}
    assert parse_statistics(data).ddr_read_mb == 2.0


def test_a_run_without_any_time_of_the_c7x_is_no_measurement() -> None:
    with pytest.raises(ConversionFailed, match="nothing of the model ran on the C7x"):
        parse_statistics(counters(0))
    incomplete = counters(1)
    del incomplete["ts:run_end"]
    with pytest.raises(ConversionFailed, match=r"no ts:run_end. Set TIDL_RT_PERFSTATS=1"):
        parse_statistics(incomplete)
