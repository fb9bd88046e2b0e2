"""Where training starts: at weights whose rounding was learned, not at the float weights rounded to nearest.

Rounded to nearest, 4-bit weights can be so far from the net that its gradients say little: training then learns the
samples by heart instead of finding the way back. Learned rounding (pipeline.rounding) stays near.
The steps of these weights stay as they were found; an observer would set them anew from the largest weight.
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
from .twin import Twin


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
        self.held = frozenset(self._quantizers.values())
        """Modules whose step stays as it is."""

    def give_weights(self) -> None:
        """Learn rounding, and write the weights into the net.

        Raises QuantizationFailed when an input of a layer becomes NaN or infinite.
        """
        grids = learn_rounding(self._twin.model, self._feeds(), self._choice, self._progress, narrow=True)
        self._twin.write(self._prepared)
        self._grids = {self._twin.origins[name].parameter: grid for name, grid in grids.items()}

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


def _set_step(fake: FakeQuantize, grid: Grid) -> None:
    """Make the observer's range that of all codes, so that it gives this step."""
    top = torch.from_numpy(np.atleast_1d(np.asarray(grid.scale, np.float32)) * np.float32(2 ** (grid.bits - 1) - 1))
    observer = fake.activation_post_process
    top = top.reshape(observer.max_val.shape) if observer.max_val.numel() == top.numel() else top
    observer.min_val, observer.max_val = -top, top
    scale, zero_point = observer.calculate_qparams()
    fake.scale, fake.zero_point = scale, zero_point.to(fake.zero_point.dtype)
