"""The parts of training that decide: which samples, which loss, how many at once, which tensor an encoding is of."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import model_fixtures
from dms_operator.api.errors import DatasetInvalid, QuantizationFailed
from dms_operator.api.stages import TensorSpec
from dms_operator.pipeline.dataset import load_dataset
from dms_operator.pipeline.progress import silent
from dms_operator.pipeline.qat.batching import batched
from dms_operator.pipeline.qat.checkpoints import Checkpoints
from dms_operator.pipeline.qat.limits import Limits, MemoryLimitReached, TimeLimitReached
from dms_operator.pipeline.qat.losses import Loss
from dms_operator.pipeline.qat.optimizer import cosine
from dms_operator.pipeline.qat.program import load_program, trainable, used_parameters
from dms_operator.pipeline.qat.samples import Samples, outputs_of, parts
from dms_operator.pipeline.qat.spread import spread
from dms_operator.pipeline.qat.strip import Encoding, strip
from dms_operator.pipeline.qat.trainer import Epoch, is_best, is_enough
from pipeline.qat_nets import assorted, mixer
from pipeline.stages import Writer

FRAMES = TensorSpec(name="frames", shape=[1, 3, 16, 16])
LABELS = torch.tensor([0, 2])


@given(st.integers(20, 300), st.integers(1, 300), st.integers(0, 5))
def test_no_sample_serves_twice(samples: int, evaluating: int, seed: int) -> None:
    evaluation = np.random.default_rng(0).permutation(samples)[:evaluating]
    try:
        divided = parts(samples, evaluation, seed)
    except DatasetInvalid:
        assert samples - len(evaluation) < 11
        return
    together = [*divided.training, *divided.held_out, *evaluation]
    assert sorted(together) == list(range(samples))


def test_the_learning_rate_falls_from_all_to_a_hundredth() -> None:
    rates = [cosine(share) for share in np.linspace(0, 1, 11)]
    assert (rates[0], rates[-1]) == pytest.approx((1, 0.01))
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    ("drops", "losses", "enough"),
    [
        ([0.5, 0.0], [1.0, 0.5], False),
        ([0.5, 0.0, 0.0], [1.0, 0.5, 0.4], False),
        ([0.5, 0.0, 0.0], [1.0, 0.5, 0.5], False),
        ([0.5, 0.0, 0.0, 0.0], [1.0, 0.5, 0.5, 0.6], True),
        ([0.5, 0.0, 0.2, 0.0], [1.0, 0.5, 0.6, 0.6], False),
        ([0.5, 0.0, 0.0, 0.0], [1.0, 0.5, 0.6, 0.4], False),
        ([0.0, 0.0, 0.0], [1.0, 1.1, 1.2], True),
        ([0.0, 0.0], [1.0, 1.0], False),
    ],
)
def test_training_is_enough_when_it_stays_inside_the_gate_and_its_loss_no_longer_falls(
    drops: list[float], losses: list[float], enough: bool
) -> None:
    rows = [Epoch(at, None, 1 - drop, drop, loss) for at, (drop, loss) in enumerate(zip(drops, losses, strict=True))]
    assert is_enough(rows, 0.01) is enough


@pytest.mark.parametrize(
    ("drop", "loss", "beats"), [(0.2, 0.9, True), (0.4, 0.1, False), (0.01, 0.2, True), (-0.02, 0.31, False)]
)
def test_the_best_epoch_has_the_least_drop_and_inside_the_gate_the_least_loss(
    drop: float, loss: float, beats: bool
) -> None:
    outside, inside = Epoch(0, None, 0.7, 0.3, 0.5), Epoch(1, None, 1.0, 0.0, 0.3)
    row = Epoch(2, None, 1 - drop, drop, loss)
    assert is_best(row, [outside] if drop > 0.1 else [outside, inside], 0.01) is beats


@pytest.mark.parametrize("scores", [torch.tensor([[4.0, 0, 0], [0, 0, 4.0]]), torch.eye(3)[LABELS] * 0.9 + 0.1 / 3])
def test_the_teachers_own_answer_costs_only_what_the_labels_say(scores: torch.Tensor) -> None:
    teacher = [(row[None],) for row in scores]
    loss = Loss("top1", teacher)
    assert float(loss((scores,), (scores,), None)) == pytest.approx(0, abs=1e-6)
    assert 0 < float(loss((scores,), (scores,), LABELS)) < float(loss((scores.roll(1, 1),), (scores,), LABELS))


def test_a_distance_of_one_means_nothing_in_common() -> None:
    values = torch.tensor([[3.0, -4.0]])
    assert float(Loss("cosine", [(values,)])((torch.zeros(1, 2),), (values,), LABELS)) == pytest.approx(1)


@pytest.mark.parametrize(("writer", "together"), [(assorted, 8), (mixer, 1)])
def test_several_samples_at_once_only_where_that_is_proven_the_same(
    writer: Writer, together: int, tmp_path: Path
) -> None:
    data = model_fixtures.tiny_dataset(tmp_path / "data.npz", 12)
    samples = Samples(load_dataset(data, [FRAMES], 10**9), np.arange(12), ["frames"])
    module = trainable(load_program(writer(tmp_path / "net.pt2"), tmp_path / "safe.pt2", 10**9))
    opened, count = batched(module, samples)
    assert count == together
    one_by_one = torch.cat([row for (row,) in outputs_of(module, samples, 1, silent, "")])
    at_once = torch.cat([row for (row,) in outputs_of(opened, samples, count, silent, "")])
    assert torch.allclose(one_by_one, at_once, atol=1e-5)


def test_batch_norms_are_folded_into_convolutions_and_change_nothing(tmp_path: Path) -> None:
    program = load_program(assorted(tmp_path / "net.pt2"), tmp_path / "safe.pt2", 10**9)
    folded, frames = trainable(program), torch.rand(1, 3, 16, 16)
    assert not [node for node in folded.graph.nodes if "batch_norm" in str(node.target)]
    assert torch.allclose(folded(frames), program.module(check_guards=False)(frames), atol=1e-5)
    assert not [name for name in used_parameters(folded) if name.startswith(("stem.1", "block.1"))]


def test_limits_say_what_was_used_and_what_is_done() -> None:
    times = iter([0.0, 50.0, 95.0])
    limits = Limits(100, 1000, lambda: next(times), lambda: 10)
    limits.check("step 1 of 9")
    with pytest.raises(TimeLimitReached, match=r"used 95 of the pod's 100 seconds, and stopped after step 2 of 9"):
        limits.check("step 2 of 9")
    with pytest.raises(MemoryLimitReached, match="uses 950 of the pod's 1000 bytes"):
        Limits(None, 1000, lambda: 0.0, lambda: 950).check("step 2 of 9")
    Limits(None, None, lambda: 1e9, lambda: 10**12).check("no limit is known")


def test_what_the_pod_did_before_training_counts_against_its_time() -> None:
    with pytest.raises(TimeLimitReached, match=r"used 95 of the pod's 100 seconds"):
        Limits(100, None, lambda: 7.0, lambda: 10, elapsed=95).check("step 1 of 9")


def test_a_process_knows_how_long_it_has_run() -> None:
    program = (
        "import time; from dms_operator.pipeline.machine import age_seconds; time.sleep(0.3); print(age_seconds())"
    )
    started = time.monotonic()
    age = float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
    assert 0.3 <= age <= time.monotonic() - started + 0.02


def test_a_checkpoint_comes_back_whole_and_a_damaged_one_not_at_all(tmp_path: Path) -> None:
    kept = Checkpoints(f"file://{tmp_path}/store", "sha256:" + "a" * 64, (tmp_path,))
    assert kept.load() is None
    kept.save({"step": 3, "model": {"weight": torch.eye(2)}})
    state = kept.load()
    assert state is not None
    assert (state["step"], state["model"]["weight"].tolist()) == (3, [[1, 0], [0, 1]])
    [path] = (tmp_path / "store" / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    assert kept.load() is None
    kept.remove()
    assert not path.exists()


def encoding(scale: float = 0.5, axis: int | None = None) -> Encoding:
    scales = np.full(3 if axis is not None else (), scale, np.float32)
    return Encoding(scales, np.zeros_like(scales, np.uint8), axis)


def graph(nodes: list[onnx.NodeProto], *constants: onnx.TensorProto) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])
    y = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [1, 3])
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], constants))


def qdq(source: str, target: str) -> list[onnx.NodeProto]:
    parameters = ["scale", "zero"]
    return [
        helper.make_node("QuantizeLinear", [source, *parameters], [f"{source}_q"]),
        helper.make_node("DequantizeLinear", [f"{source}_q", *parameters], [target]),
    ]


CONSTANTS = [
    numpy_helper.from_array(np.array(0.5, np.float32), "scale"),
    numpy_helper.from_array(np.array(3, np.uint8), "zero"),
    numpy_helper.from_array(np.arange(6, dtype=np.int8).reshape(3, 2), "codes"),
    numpy_helper.from_array(np.array([1, 2, 4], np.float32), "scales"),
    numpy_helper.from_array(np.zeros(3, np.int8), "zeros"),
]


def test_stripping_gives_weights_on_their_grid_and_each_tensor_its_encoding() -> None:
    nodes = [
        *qdq("x", "x_dq"),
        helper.make_node("DequantizeLinear", ["codes", "scales", "zeros"], ["w"], axis=0),
        helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
        helper.make_node("MatMul", ["x_dq", "wt"], ["logits"]),
        *qdq("logits", "out"),
    ]
    stripped = strip(graph(nodes, *CONSTANTS), ["logits"])
    assert [node.op_type for node in stripped.model.graph.node] == ["MatMul"]
    assert stripped.activations.keys() == {"x", "logits"}
    assert (float(stripped.activations["x"].scale), int(stripped.activations["x"].zero_point)) == (0.5, 3)
    assert [value.name for value in stripped.model.graph.output] == ["logits"]
    [weight] = stripped.model.graph.initializer
    assert numpy_helper.to_array(weight).tolist() == [[0, 4, 16], [1, 6, 20]]
    assert stripped.weights["wt"].axis == 1


def test_another_tensor_with_an_outputs_name_gives_way() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["scores"]),
        helper.make_node("Relu", ["scores"], ["inner"]),
        *qdq("inner", "out"),
    ]
    stripped = strip(graph(nodes, *CONSTANTS), ["scores"])
    assert [list(node.output) for node in stripped.model.graph.node] == [["scores_inside"], ["scores"]]
    assert stripped.activations.keys() == {"scores"}


def test_what_nothing_quantized_is_not_dequantized() -> None:
    nodes = [helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["y"])]
    with pytest.raises(QuantizationFailed, match="dequantizes x, which nothing quantized"):
        strip(graph(nodes, *CONSTANTS), ["y"])


def test_grids_spread_over_what_moves_and_clips_and_no_further() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("Reshape", ["relu", "shape"], ["flat"]),
        helper.make_node("Gelu", ["flat"], ["gelu"]),
    ]
    known = {"relu": encoding()}
    assert spread(graph(nodes), known).keys() == {"conv", "relu", "flat"}


def test_a_tensor_that_others_read_is_not_clipped_for_one() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("Add", ["conv", "relu"], ["sum"]),
    ]
    assert spread(graph(nodes), {"relu": encoding()}).keys() == {"relu"}
