"""The latency estimate: exact about the published nets' shapes, honest about its error."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from dms_operator.api.errors import InvalidSpec
from dms_operator.api.target_options.tidl_socs import soc_named
from dms_operator.toolchains.tidl import latency
from dms_operator.toolchains.tidl.anchors import ANCHORS, fitted_setup, left_out_error, mobilenet_v2, regnet_x_200mf
from dms_operator.toolchains.tidl.latency import CLOCK_HZ, MACS_PER_CYCLE, estimate, facts, price, seconds, utilization
from dms_operator.toolchains.tidl.layers import convolution, element_wise, layers_of, totals
from model_fixtures import tiny_classifier
from toolchains.tidl.models import graph_of, node

TDA4VM = soc_named("J721E")


@pytest.mark.parametrize(
    ("net", "macs", "weights"),
    [
        ("MobileNetV1", 569e6, 4.24e6),  # these three: tensorflow/models research/slim/nets/mobilenet/README.md
        ("MobileNetV2", 300e6, 3.47e6),
        ("MobileNetV2 1.4", 582e6, 6.06e6),
        ("RegNetX-200MF", 200e6, 2.7e6),  # Radosavovic et al. 2020, table 2
    ],
)
def test_the_published_nets_have_their_published_size(net: str, macs: float, weights: float) -> None:
    sums = totals(next(anchor for anchor in ANCHORS if anchor.net == net).layers())
    assert sums["macs"] == pytest.approx(macs, rel=0.01)
    assert sums["weights"] == pytest.approx(weights, rel=0.02)  # ours are without batch norms


def test_the_constants_in_use_are_those_of_the_fit() -> None:
    assert fitted_setup(ANCHORS) == pytest.approx(latency.SECONDS_PER_LAYER, abs=0.05e-6)
    assert max(abs(left_out_error(anchor)) for anchor in ANCHORS) <= latency.WORST_ERROR


def test_no_layer_is_faster_than_the_matrix_unit_or_the_memory() -> None:
    for layer in regnet_x_200mf():
        assert price(layer).seconds >= layer.macs / (MACS_PER_CYCLE * CLOCK_HZ)
        assert price(layer).seconds >= layer.weights / latency.DDR_BYTES_PER_SECOND


def test_narrow_layers_leave_most_of_the_matrix_idle() -> None:
    full = convolution("full", (64, 64), (1, 1), (196, 196))
    assert utilization(full) == 1.0
    assert utilization(convolution("depthwise", (64, 64), (3, 3), (196, 196), group=64)) == 3 / 64
    assert utilization(convolution("grouped", (64, 64), (3, 3), (196, 196), group=8)) == 8 / 64
    assert utilization(element_wise("add", "Add", 10, 5)) == 1.0


def test_sixteen_bits_cost_four_times_the_arithmetic_and_twice_the_traffic() -> None:
    layer = convolution("wide", (512, 512), (3, 3), (784, 784))
    assert latency.compute_seconds(layer, 16) == 4 * latency.compute_seconds(layer, 8)
    heavy = convolution("heavy", (4096, 4096), (1, 1), (1, 1))
    slower = price(heavy, 16).seconds - latency.SECONDS_PER_LAYER
    assert slower == pytest.approx(2 * (price(heavy).seconds - latency.SECONDS_PER_LAYER))


def test_only_the_named_layers_work_in_sixteen_bits() -> None:
    layers = [replace(layer, output=layer.name) for layer in mobilenet_v2()]
    one = seconds(estimate(layers, wide=frozenset({layers[-1].output})))
    assert seconds(estimate(layers)) < one < seconds(estimate(layers, bits=16))


def test_activations_beyond_the_on_chip_memory_go_to_ddr() -> None:
    small, large = element_wise("s", "Add", 2**20, 2**20), element_wise("l", "Add", 2**26, 2**26)
    assert price(small).bound != "ddr" and price(large).bound == "ddr"


def test_the_estimate_never_calls_itself_more_and_carries_its_error() -> None:
    priced = estimate(mobilenet_v2())
    found = facts(TDA4VM, priced, left_on_cpu=0)
    assert found.provenance == "estimated" and found.samples == 0
    assert found.bound is not None and found.bound.value == pytest.approx(1.3 * found.p50.value, rel=1e-3)


def test_work_on_the_arm_cores_takes_the_bound_away() -> None:
    found = facts(TDA4VM, estimate(mobilenet_v2()), left_on_cpu=2)
    assert found.bound is None and "without 2 nodes on the Arm cores" in found.notes


def test_a_chip_without_published_figures_gets_no_number() -> None:
    with pytest.raises(InvalidSpec, match="no latency estimate for AM62A"):
        facts(soc_named("am62a"), [], 0)


def test_layers_of_a_model_are_counted_as_tidl_merges_them(tmp_path: Path) -> None:
    layers = layers_of(onnx.load(tiny_classifier(tmp_path / "m.onnx")))
    assert [layer.op for layer in layers] == ["Conv", "Conv", "GlobalAveragePool", "Gemm"]
    assert layers[0].macs == 3 * 3 * 3 * 8 * 16 * 16 and layers[0].weights == 3 * 3 * 3 * 8
    assert layers[3].macs == layers[3].weights == 24
    assert [layer.output for layer in layers] == ["active1_out", "active2_out", "pooled", "logits"]


def test_quantization_changes_nothing_about_the_layers(tmp_path: Path, powers_qdq: Path) -> None:
    plain = layers_of(onnx.load(tiny_classifier(tmp_path / "m.onnx")))
    fixed = layers_of(onnx.load(powers_qdq))
    assert [(layer.op, layer.macs) for layer in fixed] == [(layer.op, layer.macs) for layer in plain]


def test_a_product_of_two_activations_reads_both() -> None:
    nodes = [node("Transpose", ["x"], "t", perm=[0, 2, 1]), node("MatMul", ["x", "t"], "y")]
    product = layers_of(onnx.shape_inference.infer_shapes(graph_of(nodes, {"x": [1, 4, 8]}, ["y"])))[-1]
    assert (product.macs, product.read, product.written, product.weights) == (4 * 8 * 4, 64, 16, 0)


def test_a_matrix_of_weights_is_read_from_ddr() -> None:
    model = graph_of([node("MatMul", ["x", "w"], "y")], {"x": [1, 4, 8]}, ["y"], {"w": np.ones((8, 16), np.float32)})
    assert layers_of(model)[0].weights == 128


def test_ddr_traffic_is_that_of_tis_simulator() -> None:
    """TI's simulator counts 2.76 MB for RegNetX-200MF (edgeai-benchmark's result.yaml): weights, and the image."""
    layers = regnet_x_200mf()
    traffic = sum(layer.weights for layer in layers) + layers[0].read
    assert traffic == pytest.approx(2.76e6, rel=0.03)
    assert max(layer.read + layer.written for layer in layers) < latency.LOCAL_BYTES
