"""Where training starts: at codes that were learned, not at the float weights rounded to nearest.

Rounded to nearest, 4-bit weights can be so far from the net that its gradients say little: training then learns the
samples by heart instead of finding the way back. Learned rounding (pipeline.rounding) stays near.
Within its code a weight leans to its float value: what was lost by rounding goes first where training asks for it. The
steps are those that were found; training goes on from there.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.fake_quantize import FakeQuantize

from ..calibration import Feed
from ..linear_layers import LinearLayer
from ..progress import Progress
from ..rounding import Grid, learn_rounding
from ..schemes import Scheme
from .annotation import WEIGHTED
from .program import used_parameters
from .twin import Twin

LEANING = 0.25
"""Most that a weight leans, in steps: half the way to where the next code begins, so that no noise takes it there.
From the middle of their codes `Burdened` (docs/qat.md) was learned for two seeds of four, from here for all."""


class LearnedRounding:
    """The start of a prepared net: first its weights, then, when the ranges of activations are known, their steps."""

    def __init__(
        self,
        prepared: GraphModule,
        twin: Twin,
        scheme: Scheme,
        feeds: Callable[[], Iterable[Feed]],
        progress: Progress,
    ) -> None:
        """`twin` is the ONNX form of the very net, and is changed; `feeds` are calibration samples."""
        self._prepared, self._twin, self._scheme = prepared, twin, scheme
        self._feeds, self._progress = feeds, progress
        self._grids: dict[str, Grid] = {}
        self._quantizers = dict(weight_quantizers(prepared))

    def give_weights(self) -> None:
        """Learn rounding, and give the net weights that round to what was learned.

        Raises QuantizationFailed when an input of a layer becomes NaN or infinite.
        """
        parameters = used_parameters(self._prepared)
        floats = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        grids = learn_rounding(self._twin.model, self._feeds(), self._choice, self._progress, narrow=True)
        self._twin.write(self._prepared)
        self._grids = {self._twin.origins[name].parameter: grid for name, grid in grids.items()}
        for name, grid in self._grids.items():
            _lean(parameters[name], floats[name], _steps(grid, self._quantizers[name], parameters[name].ndim))

    def give_steps(self) -> None:
        """Set the steps that the weights were rounded by."""
        for name, grid in self._grids.items():
            _set_step(self._quantizers[name], grid)

    def _choice(self, layer: LinearLayer) -> tuple[int, bool] | None:
        """Bits and granularity of a layer whose weight and bias are the net's parameters."""
        origins = self._twin.origins
        if layer.weight not in origins or not (layer.bias is None or layer.bias in origins):
            return None
        quantizer = self._quantizers.get(origins[layer.weight].parameter)
        return quantizer and (self._scheme.weight_bits(layer.node.op_type), quantizer.is_per_channel)


def weight_quantizers(prepared: GraphModule) -> Iterator[tuple[str, FakeQuantize]]:
    """The parameters that weigh a convolution or matrix product, by name, with the modules that round them."""
    modules = dict(prepared.named_modules())
    for node in prepared.graph.nodes:
        rounder = node.args[1] if node.target in WEIGHTED else None
        if isinstance(rounder, Node) and rounder.op == "call_module":
            [source] = rounder.all_input_nodes
            if source.op == "get_attr":
                yield str(source.target), modules[str(rounder.target)]


def _steps(grid: Grid, fake: FakeQuantize, ndim: int) -> torch.Tensor:
    """The grid's steps in a shape that goes with the parameter's."""
    steps = torch.from_numpy(np.asarray(grid.scale, np.float32))
    shape = [-1 if fake.is_per_channel and place == fake.ch_axis else 1 for place in range(ndim)]
    return steps.reshape(shape)


def _lean(rounded: torch.nn.Parameter, wanted: torch.Tensor, step: torch.Tensor) -> None:
    """Move rounded weights towards the float ones, by LEANING of a step at most."""
    with torch.no_grad():
        rounded.add_((wanted - rounded).clamp(-LEANING * step, LEANING * step))


def _set_step(fake: FakeQuantize, grid: Grid) -> None:
    """Make the observer's range that of all codes, so that it gives this step."""
    top = torch.from_numpy(np.atleast_1d(np.asarray(grid.scale, np.float32)) * np.float32(2 ** (grid.bits - 1) - 1))
    observer = fake.activation_post_process
    top = top.reshape(observer.max_val.shape) if observer.max_val.numel() == top.numel() else top
    observer.min_val, observer.max_val = -top, top
    scale, zero_point = observer.calculate_qparams()
    fake.scale, fake.zero_point = scale, zero_point.to(fake.zero_point.dtype)
