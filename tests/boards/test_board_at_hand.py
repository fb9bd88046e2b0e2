"""Where the board is, as a benchmark pod finds out; and what an earlier answer is worth then."""

import json
from pathlib import Path

import pytest

from dms_operator.api.errors import BoardRefused
from dms_operator.api.quantities import Duration
from dms_operator.api.stages import BenchmarkFacts, BenchmarkRecipe, LatencyFacts, Provenance, StageResult
from dms_operator.artifacts.store import Store, open_store
from dms_operator.pipeline.board import is_at_hand, node_connection
from dms_operator.pipeline.golden import GOLDEN
from dms_operator.pipeline.runner import _is_outdone

DIGEST = "sha256:" + "0" * 64
RECIPE = BenchmarkRecipe(
    image="i", resolved=DIGEST, variant=DIGEST, compiled=DIGEST, board="qcs8255", toolchain="onnxruntime"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store", roots=(tmp_path,))


def answer(store: Store, tmp_path: Path, provenance: Provenance, *names: str) -> StageResult:
    """A benchmark's answer whose artifact has these files; golden outputs if none are named."""
    files = {name: tmp_path / name for name in names or (GOLDEN,)}
    for path in files.values():
        path.write_bytes(b"{}")
    facts = BenchmarkFacts(latencies=[LatencyFacts(provenance=provenance, p50=Duration("1ms"), source="test")])
    return StageResult(stage="benchmark", recipe=DIGEST, artifact=store.put(files), benchmark=facts)


@pytest.fixture
def behind_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMS_NODE_NAME", "rack-1")
    monkeypatch.setenv("DMS_BOARD_CONNECTIONS", json.dumps({"rack-1": "ssh://root@10.0.0.7"}))


def test_a_pod_takes_the_connection_of_its_own_node() -> None:
    table = json.dumps({"rack-2": "adb://4f2a11"})
    assert node_connection({"DMS_BOARD_CONNECTIONS": table}).kind == "local"
    assert node_connection({}).kind == "local"


def test_an_annotation_that_makes_no_sense_is_refused_with_the_nodes_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMS_NODE_NAME", "rack-1")
    with pytest.raises(BoardRefused, match=r"node rack-1: 'telnet://x' is none of .*dms\.edge/board-connection"):
        node_connection({"DMS_BOARD_CONNECTIONS": '{"rack-1": "telnet://x"}'})


def test_without_a_board_an_earlier_answer_stands(store: Store, tmp_path: Path) -> None:
    assert not is_at_hand("onnxruntime", "qcs8255")
    assert not _is_outdone(RECIPE, answer(store, tmp_path, "simulated"), store)


def test_an_answer_without_golden_outputs_is_made_anew(store: Store, tmp_path: Path) -> None:
    assert _is_outdone(RECIPE, answer(store, tmp_path, "measured", "report.json"), store)


@pytest.mark.usefixtures("behind_ssh")
def test_a_board_that_was_attached_since_outdoes_the_simulator_but_no_measurement(store: Store, tmp_path: Path) -> None:
    assert is_at_hand("onnxruntime", "qcs8255")
    assert _is_outdone(RECIPE, answer(store, tmp_path, "simulated"), store)
    assert not _is_outdone(RECIPE, answer(store, tmp_path, "measured"), store)
