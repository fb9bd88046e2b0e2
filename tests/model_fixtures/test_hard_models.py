"""The hard variants compute what the trained nets compute, and their weights are as hard as promised."""

from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch
from onnxruntime.quantization import QuantType
from torch import Tensor

from driver_monitor.export import save_onnx
from driver_monitor.mobilenet import reference
from driver_monitor.nets import NETS
from driver_monitor.train import Clips, render_clips
from model_fixtures.hard_models import change_basis, ill_conditioned, sheared, skewed
from model_fixtures.plain_ptq import feeds_of, quantized

VARIANTS = [(skewed, "resnet18"), (sheared, "mobilenet-v3-small")]


def logits_of(program: Path) -> Tensor:
    net = torch.export.load(program).module()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        return torch.cat([net(torch.rand(1, 8, 3, 64, 64, generator=generator)) for _ in range(3)])


@pytest.mark.parametrize(("write", "name"), VARIANTS)
def test_a_hard_variant_computes_the_same(write: Callable[[Path], Path], name: str, tmp_path: Path) -> None:
    hard, plain = logits_of(write(tmp_path / "hard.pt2")), logits_of(NETS[name].program)
    torch.testing.assert_close(hard, plain, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("write", "name"), VARIANTS)
def test_a_seed_gives_one_variant(write: Callable[..., Path], name: str, tmp_path: Path) -> None:
    first, again, other = (write(tmp_path / f"{turn}.pt2", seed=seed) for turn, seed in enumerate((0, 0, 1)))
    weights = [torch.export.load(path).state_dict for path in (first, again, other)]
    assert all(torch.equal(tensor, weights[1][key]) for key, tensor in weights[0].items())
    assert not all(torch.equal(tensor, weights[2][key]) for key, tensor in weights[0].items())


def test_the_skew_spreads_the_input_channels_of_a_filter(tmp_path: Path) -> None:
    name = "backbone.9.second.0.weight"
    hard = torch.export.load(skewed(tmp_path / "hard.pt2")).state_dict[name]
    plain = torch.export.load(NETS["resnet18"].program).state_dict[name]
    scales = (hard / plain).mean((0, 2, 3))
    assert scales.max() / scales.min() > 30, "k = 8 gives up to 64"


def test_a_basis_has_the_condition_that_was_asked_for() -> None:
    assert torch.linalg.cond(ill_conditioned(16, 30.0, seed=1)).item() == pytest.approx(900)
    assert not torch.equal(ill_conditioned(16, 30.0, seed=1), ill_conditioned(16, 30.0, seed=2))


def test_a_change_of_basis_keeps_the_function_of_any_weights() -> None:
    torch.manual_seed(0)
    net, clip = reference(), torch.rand(1, 8, 3, 64, 64)
    net(clip)  # gives the batch norms statistics of their own
    before = net.eval()(clip)
    change_basis(
        net.state_dict(), ["3.layers.4", "4.layers.4"], ["4.layers.0", "5.layers.0"], ill_conditioned(16, 8.0, 0)
    )
    torch.testing.assert_close(net(clip), before, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_plain_quantization_fails_where_the_module_says_so(tmp_path: Path) -> None:
    """Prints the numbers of hard_models' docstring: pytest -s tests/model_fixtures/test_hard_models.py -k plain."""
    clips, calibration = render_clips(120, seed=2026), feeds_of(render_clips(64, seed=2027))
    measured: dict[tuple[str, str], float] = {}
    for write, name in VARIANTS:
        model = save_onnx(torch.export.load(write(tmp_path / f"{name}.pt2")), tmp_path / f"{name}.onnx")
        measured[write.__name__, "float"] = accuracy_of(model, clips)
        for scheme, types in SCHEMES.items():
            quantized_model = quantized(model, tmp_path / "qdq.onnx", calibration, *types)
            measured[write.__name__, scheme] = accuracy_of(quantized_model, clips)
    print(*(f"{variant:8} {scheme:6} {accuracy:.3f}" for (variant, scheme), accuracy in measured.items()), sep="\n")
    assert min(measured["skewed", "float"], measured["skewed", "w8a8"], measured["sheared", "float"]) > 0.95
    assert measured["skewed", "w4a8"] < 0.85
    assert max(measured["sheared", "w4a8"], measured["sheared", "w4a16"]) < 0.5


SCHEMES = {
    "w8a8": (QuantType.QInt8, QuantType.QUInt8),
    "w8a16": (QuantType.QInt8, QuantType.QUInt16),
    "w4a8": (QuantType.QInt4, QuantType.QUInt8),
    "w4a16": (QuantType.QInt4, QuantType.QUInt16),
}


def accuracy_of(model: Path, clips: Clips) -> float:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    answers = [int(session.run(None, feed)[0].argmax()) for feed in feeds_of(clips)]
    return float((torch.tensor(answers) == clips.labels).float().mean())
