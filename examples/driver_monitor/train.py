"""Train the reference net from a seed, and write the program and the model card that are committed."""

import argparse
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from driver_monitor.behaviour import FRAMES, LABELS
from driver_monitor.canvas import SIZE
from driver_monitor.dataset import make_clip
from driver_monitor.export import save_program
from driver_monitor.network import DriverMonitor, reference

COMMITTED = Path(__file__).parents[1] / "models" / "driver-monitor.pt2"
_BATCH = 32


@dataclass(frozen=True)
class Recipe:
    """What decides the weights. The held-out clips come from their own seed."""

    seed: int = 11
    clips: int = 6600
    epochs: int = 11
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    held_out_seed: int = 1_000_003
    held_out_clips: int = 1200


@dataclass(frozen=True)
class Clips:
    """Clips as 8-bit levels [N, 8, 3, 64, 64], a quarter of the memory, and labels [N]."""

    levels: Tensor
    labels: Tensor

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return clips in [0, 1] and their labels."""
        return self.levels[indices].float() / 255, self.labels[indices]


def render_clips(count: int, seed: int) -> Clips:
    """Render clips; they are exact in 8 bits, because the renderer's camera has 256 levels."""
    levels = torch.empty(count, FRAMES, 3, SIZE, SIZE, dtype=torch.uint8)
    labels = torch.empty(count, dtype=torch.int64)
    for index in range(count):
        frames, labels[index] = make_clip(index, seed)
        levels[index] = torch.from_numpy(frames).mul(255).round()
    return Clips(levels, labels)


def mirror(frames: Tensor, labels: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror the chosen clips [N] (bool); who looked left then looks right."""
    left, right = LABELS.index("looking_left"), LABELS.index("looking_right")
    swapped = torch.where(labels == left, right, torch.where(labels == right, left, labels))
    mirrored = torch.where(chosen[:, None, None, None, None], frames.flip(-1), frames)
    return mirrored, torch.where(chosen, swapped, labels)


def train(clips: Clips, recipe: Recipe, report: Callable[[str], None] = print) -> DriverMonitor:
    """Train a fresh reference net on `clips` and return it in evaluation mode."""
    torch.manual_seed(recipe.seed)
    net = reference()
    steps = recipe.epochs * (len(clips.labels) // _BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(recipe.epochs):
        total = 0.0
        for frames, labels in _shuffled(clips):
            optimizer.zero_grad()
            loss = loss_of(net(frames), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        report(f"epoch {epoch + 1}/{recipe.epochs}: loss {total * recipe.epochs / steps:.3f}")
    return net.eval()


def accuracy(net: nn.Module, clips: Clips) -> float:
    """Return the share of `clips` that `net` tells right."""
    return float((predictions(net, clips) == clips.labels).float().mean())


def predictions(net: nn.Module, clips: Clips) -> Tensor:
    """Return the most likely label [N] of each clip."""
    with torch.no_grad():
        answers = [
            net(clips.batch(indices)[0]).argmax(1) for indices in torch.split(torch.arange(len(clips.labels)), _BATCH)
        ]
    return torch.cat(answers)


def _shuffled(clips: Clips) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of whole batches, half of the clips mirrored, with a little change of brightness."""
    order = torch.randperm(len(clips.labels))
    for indices in torch.split(order[: len(order) // _BATCH * _BATCH], _BATCH):
        frames, labels = mirror(*clips.batch(indices), torch.rand(_BATCH) < 0.5)
        yield (frames * (0.85 + 0.3 * torch.rand(_BATCH, 1, 1, 1, 1))).clamp(0, 1), labels


def write_card(program: Path, recipe: Recipe, held_out_accuracy: float) -> Path:
    """Write the model card beside the program: what it is, how good, and how to make it again."""
    card = {
        "name": "driver-monitor",
        "input": {"name": "frames", "shape": [1, 8, 3, 64, 64], "dtype": "float32", "range": [0, 1]},
        "output": {"name": "logits", "labels": list(LABELS)},
        "heldOut": {"accuracy": round(held_out_accuracy, 4), "clips": recipe.held_out_clips},
        "recipe": asdict(recipe),
        "reproduce": "PYTHONPATH=examples python -m driver_monitor.train",
        "torch": torch.__version__,
        "sha256": hashlib.sha256(program.read_bytes()).hexdigest(),
    }
    path = program.with_suffix(".json")
    path.write_text(json.dumps(card, indent=2) + "\n")
    return path


def main() -> None:
    """Train by the committed recipe: `python -m driver_monitor.train [--output net.pt2] [--threads 2]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=COMMITTED)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = Recipe()
    net = train(render_clips(recipe.clips, recipe.seed), recipe)
    held_out = accuracy(net, render_clips(recipe.held_out_clips, recipe.held_out_seed))
    print(f"held-out accuracy {held_out:.2%} on {recipe.held_out_clips} clips of seed {recipe.held_out_seed}")
    save_program(net, arguments.output)
    print(f"{arguments.output} and {write_card(arguments.output, recipe, held_out)}")


if __name__ == "__main__":
    main()
