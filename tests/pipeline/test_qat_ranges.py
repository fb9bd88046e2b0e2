"""Ranges of weights and activations are learned by gradient: which way, by how much, and that the file gets them."""

import copy
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchao.quantization.pt2e.observer import MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver

from dms_operator.pipeline.qat.learned_range import LearnedRange, learned_ranges
from dms_operator.pipeline.qat.optimizer import RANGE_RATE, Optimizer
from dms_operator.pipeline.qat.program import load_program, trainable, used_parameters
from dms_operator.pipeline.qat.snapshot import converted, prepared
from dms_operator.pipeline.qat.trainer import set_observers
from dms_operator.pipeline.schemes import scheme_for
from pipeline.qat_nets import assorted

CODES = 15


def affine(value: torch.Tensor, *, of_weight: bool = False) -> LearnedRange:
    """Of 4 bits without sign, which has seen `value`."""
    return _seen(value, MovingAverageMinMaxObserver, torch.per_tensor_affine, 0, CODES, torch.uint8, of_weight)


def symmetric(value: torch.Tensor, *, of_weight: bool = True) -> LearnedRange:
    """Of 4 bits, a step for each row of `value`, which it has seen."""
    observer = MovingAveragePerChannelMinMaxObserver
    return _seen(value, observer, torch.per_channel_symmetric, -7, 7, torch.int8, of_weight, ch_axis=0)


def _seen(
    value: torch.Tensor,
    observer: type,
    qscheme: torch.qscheme,
    low: int,
    high: int,
    dtype: torch.dtype,
    of_weight: bool,
    **others: Any,
) -> LearnedRange:
    found = LearnedRange(
        observer=observer,
        quant_min=low,
        quant_max=high,
        qscheme=qscheme,
        dtype=dtype,
        of_weight=of_weight,
        **others,
    )
    found(value)
    found.learn()
    return found


def straight_through(value: torch.Tensor, ends: torch.Tensor, codes: int = CODES) -> torch.Tensor:
    """An affine grid in plain operators, whose rounding torch differentiates as the identity."""

    def rounded(number: torch.Tensor) -> torch.Tensor:
        return number + (number.round() - number).detach()

    scale = (ends[0] + ends[1]) / codes
    zero = rounded(ends[0] / scale)
    return ((rounded(value / scale) + zero).clamp(0, codes) - zero) * scale


def fitted(fake: LearnedRange, value: torch.Tensor) -> LearnedRange:
    """Learns the range that rounds `value` with the least squared error."""
    assert fake.growth is not None
    descent = torch.optim.Adam([fake.growth], lr=0.02)
    for _ in range(400):
        descent.zero_grad()
        (fake(value) - value).square().mean().backward()
        descent.step()
    return fake


def test_until_it_learns_a_range_follows_the_data_and_then_no_more() -> None:
    fake = affine(torch.tensor([-1.0, 2.0]))
    before = fake.calculate_qparams()
    fake(torch.tensor([-50.0, 90.0]))
    assert fake.calculate_qparams() == before


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, CODES), st.floats(0.01, 1))
def test_gradients_are_those_of_the_formula_in_plain_operators(seed: int, zero: int, step: float) -> None:
    torch.manual_seed(seed)
    seen, value, gradient = step * torch.tensor([-zero, CODES - zero]), torch.randn(200), torch.randn(200)
    fake = affine(seen)
    assert fake.growth is not None
    mine = value.clone().requires_grad_()
    fake(mine).backward(gradient)
    ends = torch.stack([-seen.min(), seen.max()]).clamp(min=0).requires_grad_()
    plain = value.clone().requires_grad_()
    straight_through(plain, ends).backward(gradient)
    assert mine.grad is not None and plain.grad is not None and ends.grad is not None
    torch.testing.assert_close(mine.grad, plain.grad)
    torch.testing.assert_close(fake.growth.grad, ends.grad * ends.detach(), rtol=1e-3, atol=1e-3)  # d exp(0)


def test_each_channel_learns_its_own_step() -> None:
    weight = torch.tensor([[0.1, -0.7], [10.0, 70.0]])
    fake = symmetric(weight)
    assert fake.growth is not None and fake.growth.shape == (2,)
    parameter = torch.nn.Parameter(weight + torch.tensor([[0.02, 0], [0, 0]]))
    fake(parameter).sum().backward()
    assert fake.growth.grad is not None
    assert fake.growth.grad[0] != 0 and fake.growth.grad[1] == 0, "the second channel lies on its grid"


def test_what_is_cut_off_widens_a_range_and_what_only_rounds_tightens_it() -> None:
    value = torch.cat([torch.linspace(-1, 1, 201), torch.tensor([3.0] * 40)])
    scale, zero_point = fitted(affine(torch.tensor([-1.0, 1.0])), value).calculate_qparams()
    assert float(scale) * (CODES - int(zero_point)) == pytest.approx(3, abs=0.2)
    scale, _ = fitted(affine(torch.tensor([-40.0, 40.0])), value).calculate_qparams()
    assert float(scale) < 0.5 * 80 / CODES


def test_a_range_never_collapses_nor_turns_round() -> None:
    for fake in (symmetric(torch.tensor([[0.5], [2.0]])), affine(torch.tensor([-1.0, 2.0]))):
        before, _ = fake.calculate_qparams()
        assert fake.growth is not None
        with torch.no_grad():
            fake.growth.fill_(-4)
        scale, _ = fake.calculate_qparams()
        assert (scale > 0).all()
        unit = 2.0 if fake.of_weight else 1.0  # the largest weight of both channels
        torch.testing.assert_close(scale, before * math.exp(-4 / unit))


def test_a_range_that_became_nan_makes_the_net_nan() -> None:
    fake = affine(torch.tensor([-1.0, 2.0]))
    assert fake.growth is not None
    with torch.no_grad():
        fake.growth.fill_(torch.nan)
    assert torch.isnan(fake(torch.ones(3))).all()
    watching = LearnedRange(observer=MovingAverageMinMaxObserver, of_weight=False, qscheme=torch.per_tensor_affine)
    assert torch.isnan(watching(torch.tensor([1.0, torch.nan]))).all()


def test_weights_that_are_all_tiny_keep_finite_steps() -> None:
    fake = symmetric(torch.full((2, 2), 1e-9))
    assert fake.growth is not None
    with torch.no_grad():
        fake.growth.fill_(0.1)
    assert torch.isfinite(fake.calculate_qparams()[0]).all()


def test_a_tensor_of_zeros_stays_zero_and_has_finite_gradients() -> None:
    for fake in (affine(torch.zeros(3)), symmetric(torch.zeros(2, 3))):
        zeros = torch.zeros(2, 3, requires_grad=True)
        rounded = fake(zeros)
        rounded.sum().backward()
        assert not rounded.any()
        assert fake.growth is not None and fake.growth.grad is not None
        assert torch.isfinite(fake.growth.grad).all()


@pytest.fixture
def net(tmp_path: Path) -> torch.fx.GraphModule:
    program = load_program(assorted(tmp_path / "net.pt2"), tmp_path / "safe.pt2", 10**9)
    model = prepared(trainable(program), scheme_for("qnn", "int4", None))
    with torch.no_grad():
        model(torch.rand(1, 3, 16, 16))
    return model


def _train(model: torch.fx.GraphModule, optimizer: Optimizer, steps: int = 4) -> None:
    for step in range(steps):
        optimizer.clear()
        model(torch.rand(1, 3, 16, 16)).square().sum().backward()
        optimizer.step(step / steps)


def test_weights_and_activations_of_a_net_leave_the_ranges_that_were_found(net: torch.fx.GraphModule) -> None:
    optimizer = Optimizer(net, 1e-3)
    for of_weights in (True, False):
        optimizer.learn(learned_ranges(net, of_weights=of_weights))
    before = {id(each): each.calculate_qparams()[0].clone() for each in _all(net)}
    _train(net, optimizer)
    moved = [not torch.equal(each.calculate_qparams()[0], before[id(each)]) for each in _all(net)]
    kinds = [each.of_weight for each in _all(net)]
    assert sum(moved) > 0.9 * len(moved), "what lies on its grid by chance has no gradient"
    assert {True, False} <= {kind for kind, each in zip(kinds, moved, strict=True) if each}


def test_a_range_moves_no_faster_than_its_rate(net: torch.fx.GraphModule) -> None:
    optimizer = Optimizer(net, 1e-3)
    optimizer.learn(learned_ranges(net, of_weights=True))
    _train(net, optimizer, steps=1)
    growths = [float(each.growth.abs().max()) for each in _all(net) if each.growth is not None]
    assert growths
    assert max(growths) == pytest.approx(RANGE_RATE * 1e-3, rel=1e-3)


def test_the_converted_net_rounds_by_the_learned_steps(net: torch.fx.GraphModule) -> None:
    optimizer = Optimizer(net, 1e-2)
    for of_weights in (True, False):
        optimizer.learn(learned_ranges(net, of_weights=of_weights))
    _train(net, optimizer)
    set_observers(net, enabled=False)
    frame = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(converted(net)(frame), net(frame), atol=1e-3, rtol=1e-3)


def test_a_state_from_before_learning_takes_the_learned_ends_back(net: torch.fx.GraphModule) -> None:
    before = copy.deepcopy(net.state_dict())
    steps = [each.calculate_qparams()[0] for each in _all(net)]
    optimizer = Optimizer(net, 1e-2)
    optimizer.learn(learned_ranges(net, of_weights=True))
    _train(net, optimizer)
    net.load_state_dict(before)
    assert all(each.growth is None for each in _all(net))
    for each, step in zip(_all(net), steps, strict=True):
        torch.testing.assert_close(each.calculate_qparams()[0], step, rtol=0, atol=0)


def test_training_goes_on_from_a_saved_state_to_the_same_numbers(net: torch.fx.GraphModule) -> None:
    other, optimizer = copy.deepcopy(net), Optimizer(net, 1e-2)
    optimizer.learn(learned_ranges(net, of_weights=True))
    torch.manual_seed(1)
    _train(net, optimizer)
    file = io.BytesIO()
    torch.save([net.state_dict(), optimizer.state()], file)
    file.seek(0)
    state, moments = torch.load(file, weights_only=True)
    other.load_state_dict(state)
    again = Optimizer(other, 1e-2)
    again.learn(learned_ranges(other, of_weights=True))
    again.restore(moments)
    for model, each in ((net, optimizer), (other, again)):
        torch.manual_seed(2)
        _train(model, each)
    for name, parameter in used_parameters(net).items():
        np.testing.assert_array_equal(parameter.detach().numpy(), used_parameters(other)[name].detach().numpy())


def _all(model: torch.fx.GraphModule) -> list[LearnedRange]:
    return [*learned_ranges(model, of_weights=True), *learned_ranges(model, of_weights=False)]
