"""Training knows that biases are whole numbers in steps of the accumulator."""

from pathlib import Path

import pytest
import torch
from torch.fx import GraphModule

from dms_operator.api.capabilities import Precision, ToolchainName
from dms_operator.pipeline.qat.biases import BiasRounding
from dms_operator.pipeline.qat.program import load_program, trainable, used_parameters
from dms_operator.pipeline.qat.snapshot import converted, prepared
from dms_operator.pipeline.qat.trainer import set_fake_quantization, set_observers
from dms_operator.pipeline.schemes import scheme_for
from pipeline.qat_nets import assorted

FRAME = torch.linspace(0, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)


def net(directory: Path, precision: Precision = "int8", toolchain: ToolchainName = "onnxruntime") -> GraphModule:
    """A prepared net of three convolutions and six linear layers (one without a bias) that has seen one frame."""
    program = load_program(assorted(directory / "net.pt2"), directory / "safe.pt2", 10**9)
    model = prepared(trainable(program), scheme_for(toolchain, precision, None))
    set_fake_quantization(model, enabled=False)
    with torch.no_grad():
        model(FRAME)
    set_fake_quantization(model, enabled=True)
    set_observers(model, enabled=False)
    return model


def roundings(model: GraphModule) -> dict[str, BiasRounding]:
    """By the bias's name."""
    modules = dict(model.named_modules())
    found = {
        str(node.args[0].target): modules[str(node.target)] for node in model.graph.nodes if node.op == "call_module"
    }
    return {name: module for name, module in found.items() if isinstance(module, BiasRounding)}


@pytest.mark.parametrize(
    ("precision", "toolchain"), [("int8", "onnxruntime"), ("int8", "qnn"), ("int4", "qnn"), ("int8", "tidl")]
)
def test_every_bias_of_a_layer_is_rounded(precision: Precision, toolchain: ToolchainName, tmp_path: Path) -> None:
    assert len(roundings(net(tmp_path, precision, toolchain))) == 8


def test_a_deployed_bias_is_a_whole_number_of_steps_and_training_saw_that_one(tmp_path: Path) -> None:
    model = net(tmp_path)
    biases = used_parameters(model)
    expected = {name: rounding(biases[name]).detach() for name, rounding in roundings(model).items()}
    assert any(not torch.equal(value, biases[name]) for name, value in expected.items())
    deployed = used_parameters(converted(model))
    for name, rounding in roundings(model).items():
        data, weight = rounding._rounders
        codes = deployed[name] / (data.calculate_qparams()[0] * weight.calculate_qparams()[0])
        torch.testing.assert_close(codes, codes.round(), atol=2e-3, rtol=1e-6)
        torch.testing.assert_close(deployed[name].detach(), expected[name], rtol=0, atol=0)


def test_a_converted_copy_leaves_the_net_in_training_as_it_is(tmp_path: Path) -> None:
    model = net(tmp_path)
    before = {name: bias.detach().clone() for name, bias in used_parameters(model).items()}
    converted(model)
    assert len(roundings(model)) == 8
    assert all(torch.equal(bias, before[name]) for name, bias in used_parameters(model).items())


def test_a_bias_learns_although_it_is_rounded(tmp_path: Path) -> None:
    model = net(tmp_path)
    model(FRAME).square().sum().backward()
    gradients = {name: used_parameters(model)[name].grad for name in roundings(model)}
    assert "stem.0.weight_bias" in gradients, "which was a batch norm's"
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients.values())


def test_no_bias_is_rounded_while_ranges_are_watched(tmp_path: Path) -> None:
    model = net(tmp_path)
    set_fake_quantization(model, enabled=False)
    biases = used_parameters(model)
    assert all(torch.equal(rounding(biases[name]), biases[name]) for name, rounding in roundings(model).items())


def test_a_step_follows_its_layers_ranges(tmp_path: Path) -> None:
    model = net(tmp_path)
    biases = used_parameters(model)
    name, rounding = next(iter(roundings(model).items()))
    before = rounding(biases[name]).detach()
    rounding._rounders[1].activation_post_process.max_val.mul_(50)
    assert not torch.equal(rounding(biases[name]), before)
