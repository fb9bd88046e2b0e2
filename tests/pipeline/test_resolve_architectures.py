"""Nets as people write them survive the safe reading of .pt2: ONNX computes what torch computed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from dms_operator.api.errors import ModelInvalid
from dms_operator.pipeline.export import to_onnx
from pipeline.stages import Stages

LIMIT = 1 << 30


class Gated(nn.Module):
    """Frames through a small backbone with batch norm and squeeze-and-excite, then a GRU over time."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Hardsigmoid())
        self.time = nn.GRU(8, 8, batch_first=True)

    def forward(self, clip: Tensor) -> Tensor:
        features = self.stem(clip.flatten(0, 1))
        features = (features * self.gate(features)).mean((2, 3)).unflatten(0, clip.shape[:2])
        hidden: Tensor = self.time(features)[0][:, -1]
        return hidden


class Attending(nn.Module):
    """A stock transformer layer with dropout, a constant table and a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, activation="gelu", batch_first=True)
        self.scale: Tensor
        self.register_buffer("scale", torch.full((8,), 0.5), persistent=False)

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        pooled = clip.flatten(2)[..., :8] + torch.arange(8) / 8
        encoded = self.layer(pooled * self.scale)
        return {"state": encoded.mean(1), "gaze": encoded[:, 0, :2]}


class Tied(nn.Module):
    """Two layers that share one weight, an LSTM, and interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 12), nn.Linear(12, 12)
        self.second.weight = self.first.weight
        self.memory = nn.LSTM(12, 4, bidirectional=True, batch_first=True)

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        small = nn.functional.interpolate(clip.flatten(0, 1), size=(2, 2), mode="bilinear")
        features = self.second(torch.relu(self.first(small.flatten(1)))).unsqueeze(0)
        return self.memory(features)[0], features.softmax(-1)


@pytest.mark.parametrize("build", [Gated, Attending, Tied])
def test_a_net_gives_the_same_numbers_in_onnx(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, clip = build().eval(), torch.rand(1, 4, 3, 16, 16)
    torch.export.save(torch.export.export(net, (clip,)), tmp_path / "net.pt2")
    model = to_onnx(tmp_path / "net.pt2", "pt2", None, tmp_path)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run(None, {"clip": clip.numpy()})
    with torch.no_grad():
        expected = net(clip)
    values = (
        expected.values() if isinstance(expected, dict) else [expected] if isinstance(expected, Tensor) else expected
    )
    for ours, theirs in zip(found, values, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_gradient_switches_inside_forward_are_refused_by_name(tmp_path: Path) -> None:
    class Frozen(nn.Module):
        def forward(self, clip: Tensor) -> Tensor:
            with torch.no_grad():
                return clip * 2

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen = Frozen()

        def forward(self, clip: Tensor) -> Tensor:
            moved: Tensor = self.frozen(clip)
            return moved + clip

    torch.export.save(torch.export.export(Whole(), (torch.rand(1, 4),)), tmp_path / "net.pt2")
    with pytest.raises(ModelInvalid, match=r"no_grad inside forward|not a plain tensor operator"):
        to_onnx(tmp_path / "net.pt2", "pt2", None, tmp_path)


def test_the_example_model_resolves(stages: Stages) -> None:
    model = Path(__file__).parents[2] / "examples" / "models" / "driver-monitor.pt2"
    copy = stages.root / "net.pt2"
    copy.write_bytes(model.read_bytes())
    facts = stages.resolve(copy).model
    assert facts is not None
    assert [(spec.name, spec.shape) for spec in facts.inputs] == [("frames", [1, 8, 3, 64, 64])]
    assert [(spec.name, spec.shape) for spec in facts.outputs] == [("logits", [1, 6])]
