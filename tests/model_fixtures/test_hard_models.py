"""The hard variants compute what the trained nets compute, and their weights are as hard as promised."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from driver_monitor.mobilenet import reference
from driver_monitor.nets import NETS
from model_fixtures.hard_models import change_basis, ill_conditioned, sheared, skewed

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
