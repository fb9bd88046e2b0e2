"""Training starts at the equalized net, at the codes and steps that learned rounding found."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.fx import GraphModule

import model_fixtures
from dms_operator.api.capabilities import Precision
from dms_operator.api.stages import TensorSpec
from dms_operator.pipeline.dataset import Dataset, load_dataset
from dms_operator.pipeline.linear_layers import Weights
from dms_operator.pipeline.progress import silent
from dms_operator.pipeline.qat.learned_range import learned_ranges
from dms_operator.pipeline.qat.program import example_inputs, load_program, trainable, used_parameters
from dms_operator.pipeline.qat.samples import Samples, outputs_of
from dms_operator.pipeline.qat.snapshot import converted, prepared, to_onnx
from dms_operator.pipeline.qat.start import LearnedRounding, weight_quantizers
from dms_operator.pipeline.qat.trainer import set_fake_quantization, set_observers
from dms_operator.pipeline.qat.twin import Twin
from dms_operator.pipeline.schemes import scheme_for
from pipeline.qat_nets import assorted, uneven
from pipeline.stages import Writer

FRAMES = TensorSpec(name="frames", shape=[1, 3, 16, 16])


class Start:
    """A net, prepared for a precision of Qualcomm's HTP, and what it starts from."""

    def __init__(self, directory: Path, precision: Precision, writer: Writer = assorted) -> None:
        data = model_fixtures.tiny_dataset(directory / "data.npz", 24)
        self.dataset: Dataset = load_dataset(data, [FRAMES], 10**9)
        self.samples = Samples(self.dataset, np.arange(24), ["frames"])
        program = load_program(writer(directory / "net.pt2"), directory / "safe.pt2", 10**9)
        self.plain = trainable(program)
        scheme = scheme_for("qnn", precision, None)
        self.twin = Twin(to_onnx(self.plain, example_inputs(program), ["frames"], 1), self.plain)
        self.net = prepared(self.plain, scheme)
        self.rounding = LearnedRounding(self.net, self.twin, scheme, self.feeds, silent)

    def feeds(self) -> list[dict[str, np.ndarray]]:
        return [self.dataset.feed(index) for index in range(24)]

    def watch(self) -> None:
        """Set the ranges, as training does before its first step."""
        set_fake_quantization(self.net, enabled=False)
        outputs_of(self.net, self.samples, 1, silent, "")
        set_fake_quantization(self.net, enabled=True)

    def begin(self) -> None:
        self.rounding.give_weights()
        self.watch()
        self.rounding.give_steps()
        for module in learned_ranges(self.net, of_weights=True):
            module.learn()

    @property
    def rounded(self) -> dict[str, torch.Tensor]:
        """What learned rounding gave, by the ONNX form that it wrote."""
        weights = Weights(self.twin.model)
        found = {
            origin.parameter: (origin, torch.from_numpy(weights[name])) for name, origin in self.twin.origins.items()
        }
        return {name: value.T if origin.transposed else value for name, (origin, value) in found.items()}

    def outputs(self, net: GraphModule) -> torch.Tensor:
        return torch.cat([row for (row,) in outputs_of(net, self.samples, 1, silent, "")])

    def error(self) -> float:
        """Squared error of the deployed net's outputs, as a share of the float outputs' variance."""
        wanted, found = self.outputs(self.plain), self.outputs(converted(self.net))
        return float((found - wanted).square().mean() / wanted.var())


def steps(net: GraphModule) -> dict[str, torch.Tensor]:
    return {name: fake.calculate_qparams()[0] for name, fake in weight_quantizers(net)}


@pytest.fixture(params=["int8", "int4"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    return Start(tmp_path, request.param)


def test_every_parameter_of_a_layer_is_found_in_the_onnx_form(start: Start) -> None:
    layers = {name for name, _ in weight_quantizers(start.net)}
    assert layers <= {origin.parameter for origin in start.twin.origins.values()}


def test_an_equalized_net_computes_the_same_and_rounds_better(tmp_path: Path) -> None:
    plain, equalized = Start(tmp_path, "int4", uneven), Start(tmp_path, "int4", uneven)
    before = equalized.outputs(equalized.plain)
    assert equalized.twin.equalize(equalized.plain) == 1
    equalized.twin.write(equalized.net)
    torch.testing.assert_close(equalized.outputs(equalized.plain), before, atol=1e-5, rtol=1e-4)
    plain.watch()
    equalized.watch()
    assert equalized.error() < 0.5 * plain.error()


def test_learned_rounding_is_nearer_than_nearest_where_channels_are_uneven(tmp_path: Path) -> None:
    nearest, learned = Start(tmp_path, "int4", uneven), Start(tmp_path, "int4", uneven)
    nearest.watch()
    learned.begin()
    assert learned.error() < nearest.error()


def test_every_weight_rounds_to_its_learned_code_and_leans_to_its_float_value(start: Start) -> None:
    floats = {name: parameter.detach().clone() for name, parameter in used_parameters(start.net).items()}
    start.begin()
    parameters, found, leaning = used_parameters(start.net), 0, 0
    for name, fake in weight_quantizers(start.net):
        weight, code = parameters[name].detach(), start.rounded[name]
        torch.testing.assert_close(fake(weight).detach(), code, atol=1e-6, rtol=1e-5)
        assert ((weight - floats[name]).abs() <= (code - floats[name]).abs() + 1e-6).all()
        leaning += int((weight != code).sum())
        found += 1
    assert found == 9, "three convolutions and six matrices"
    assert leaning > 100


def test_the_steps_of_weights_stay_where_they_were_found_until_they_are_trained(start: Start) -> None:
    start.begin()
    before = steps(start.net)
    with torch.no_grad():
        for name, _ in weight_quantizers(start.net):
            used_parameters(start.net)[name].mul_(1.5)
    set_observers(start.net, enabled=True)
    outputs_of(start.net, start.samples, 1, silent, "")
    assert all(torch.equal(step, before[name]) for name, step in steps(start.net).items())


def test_the_same_samples_give_the_same_start(tmp_path: Path) -> None:
    first, again = Start(tmp_path, "int4"), Start(tmp_path, "int4")
    first.begin()
    again.begin()
    state = again.net.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in first.net.state_dict().items())
