"""Trained nets of the example in forms that compute the same and are hard to quantize, as `.pt2` programs.

`skewed` is what equalization undoes; `sheared` is what no post-training method known to us undoes: see there.
Right answers of 120 clips with onnxruntime's quantizer, minmax, per channel, 64 calibration clips, by
`pytest -s --timeout 600 tests/model_fixtures/test_hard_models.py -k plain`:

             float   w8a8    w8a16   w4a8    w4a16
    skewed   1.000   1.000   1.000   0.758   0.742
    sheared  0.958   0.583   0.942   0.217   0.258

Measured once, by hand, with only the weights of `sheared` at 4 bits (300 clips): a search of each filter's scale by
the layer's output error with second-order rounding (GPTQ) and bias correction left 0.197 on a net half a point
weaker; training with fake-quantized weights on 400 clips and the float net's answers gave 0.877 after 200 steps of
16 clips and still rose (float: 0.967).
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from driver_monitor.nets import NETS

Weights = Mapping[str, Tensor]
Layer = dict[str, Tensor]
_RESIDUAL_BLOCKS = range(3, 11)  # places in the backbone of driver_monitor.network.resnet18
_WRITERS, _READERS = ["3.layers.4", "4.layers.4"], ["4.layers.0", "5.layers.0"]  # driver_monitor.mobilenet, narrowest
_BATCH_NORM_EPSILON = 1e-5  # of torch.nn.BatchNorm2d


def skewed(path: Path, k: float = 8.0, seed: int = 0) -> Path:
    """Write the ResNet with the hidden channels of each residual block scaled by exp(U(-ln k, ln k))."""
    program = torch.export.load(NETS["resnet18"].program)
    weights, generator = program.state_dict, torch.Generator().manual_seed(seed)
    for block in _RESIDUAL_BLOCKS:
        first, second = _layer(weights, f"{block}.first"), _layer(weights, f"{block}.second")
        random = torch.rand(len(first["1.weight"]), generator=generator)
        scale = torch.exp((2 * random - 1) * math.log(k))
        first["1.weight"].mul_(scale)
        first["1.bias"].mul_(scale)
        second["0.weight"].div_(scale[:, None, None])
    torch.export.save(program, path)
    return path


def sheared(path: Path, k: float = 30.0, seed: int = 0) -> Path:
    """Write the MobileNet with another basis for the 16 channels that its blocks 3 and 4 add to and 4 and 5 read.

    No activation stands between them, so any invertible matrix can: this one has singular values from 1/k to k.
    Each layer by itself stays as easy as it was, and small errors of one grow by up to k squared in the next. So
    nothing that looks at one layer at a time, nor equalization, which scales channels but cannot turn them, helps.
    """
    program = torch.export.load(NETS["mobilenet-v3-small"].program)
    weights = program.state_dict
    basis = ill_conditioned(len(_layer(weights, _WRITERS[0])["1.weight"]), k, seed)
    change_basis(weights, _WRITERS, _READERS, basis)
    torch.export.save(program, path)
    return path


def change_basis(weights: Weights, writers: list[str], readers: list[str], basis: Tensor) -> None:
    """Multiply by `basis` [C, C] what the writers add to a stream of C channels, and undo it in its readers, in place.

    The writers end in a batch norm without activation, the readers are 1x1 convolutions: nothing else changes.
    """
    for name in writers:
        _rotate_output(_layer(weights, name), basis)
    for name in readers:
        weight = _layer(weights, name)["0.weight"]
        weight.copy_((weight[:, :, 0, 0].double() @ basis.inverse())[:, :, None, None])


def _rotate_output(layer: Layer, basis: Tensor) -> None:
    """Fold the batch norm into the convolution, change the basis, and give it the statistics that then hold."""
    spread = (layer["1.running_var"] + _BATCH_NORM_EPSILON).sqrt().double()
    mixing = basis * (layer["1.weight"].double() / spread)
    mean = mixing @ layer["1.running_mean"].double()
    # exact is only that weight and variance cancel; the variance itself assumes independent channels
    variance = (basis * layer["1.weight"].double()).square().sum(1)
    layer["0.weight"].copy_(torch.einsum("oi,ichw->ochw", mixing, layer["0.weight"].double()))
    layer["1.bias"].copy_(basis @ layer["1.bias"].double())
    layer["1.running_mean"].copy_(mean)
    layer["1.running_var"].copy_(variance)
    layer["1.weight"].copy_((variance + _BATCH_NORM_EPSILON).sqrt())


def ill_conditioned(channels: int, k: float, seed: int) -> Tensor:
    """A basis [channels, channels] with singular values from 1/k to k, evenly in the logarithm."""
    generator = torch.Generator().manual_seed(seed)
    left, right = (
        torch.linalg.qr(torch.randn(channels, channels, generator=generator, dtype=torch.float64)).Q for _ in range(2)
    )
    basis: Tensor = left * torch.logspace(-math.log10(k), math.log10(k), channels, dtype=torch.float64) @ right
    return basis


def _layer(weights: Weights, name: str) -> Layer:
    """The weights of a convolution and its batch norm by their names inside it, as `7.first`; they can be changed."""
    prefix = f"backbone.{name}."
    return {
        key.removeprefix(prefix): tensor.detach()
        for key, tensor in weights.items()
        if key.startswith(prefix) and tensor.ndim
    }


HARD = {"skewed": skewed, "sheared": sheared}
"""The hard nets by name."""
