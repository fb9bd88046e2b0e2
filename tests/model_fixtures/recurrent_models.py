"""The reference net with an LSTM or a GRU over time, for dynamic quantization: trained backbone, head trained here."""

from pathlib import Path

import torch
from torch import Tensor, nn

from driver_monitor.export import export_program, save_onnx
from driver_monitor.nets import NETS
from driver_monitor.recurrent import Cell, RecurrentMonitor, with_recurrent_head
from driver_monitor.train import Clips, render_clips

_STEPS = 150
_LEARNING_RATE = 3e-3


def recurrent_net(path: Path, cell: Cell, clips: Clips | None = None) -> Path:
    """Write the net as ONNX, after some seconds of training its head on `clips` (by default 360 of seed 5)."""
    clips = clips or render_clips(360, seed=5)
    torch.manual_seed(0)
    net = with_recurrent_head(cell)
    net.load_state_dict(_backbone(), strict=False)
    net.eval()
    features = _features(net, clips)
    _train_head(net, (features - features.mean((0, 1))) / features.std(), clips.labels)
    _fold(net.embed, features.mean((0, 1)), features.std())
    return save_onnx(export_program(net), path)


def _backbone() -> dict[str, Tensor]:
    weights = torch.export.load(NETS["resnet18"].program).state_dict
    return {name: tensor for name, tensor in weights.items() if name.startswith("backbone.")}


@torch.no_grad()
def _features(net: RecurrentMonitor, clips: Clips) -> Tensor:
    """What the backbone sees in each frame, [N, 8, channels]."""
    batches = torch.arange(len(clips.labels)).split(32)
    seen = [net.backbone(clips.batch(indices)[0].flatten(0, 1)).flatten(1) for indices in batches]
    return torch.unflatten(torch.cat(seen), 0, (len(clips.labels), -1))


def _train_head(net: RecurrentMonitor, features: Tensor, labels: Tensor) -> None:
    parts = nn.ModuleList([net.embed, net.cell, net.head])
    optimizer = torch.optim.Adam(parts.parameters(), _LEARNING_RATE)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net.classify(features), labels).backward()
        optimizer.step()


@torch.no_grad()
def _fold(layer: nn.Linear, mean: Tensor, scale: Tensor) -> None:
    """Let the layer take features as they are instead of normalized ones."""
    layer.weight.div_(scale)
    layer.bias.sub_(layer.weight @ mean)
