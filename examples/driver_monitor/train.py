"""Train a net of the example from a seed, and write the program and the model card that are committed."""

import argparse
import contextlib
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
from driver_monitor.distill import Teacher
from driver_monitor.export import save_program
from driver_monitor.nets import NETS, Monitor, Net, Recipe

_EVALUATED = 32  # clips at a time


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


def train(build: Callable[[], Monitor], clips: Clips, recipe: Recipe, report: Callable[[str], None] = print) -> Monitor:
    """Train a fresh net on `clips` and return it in evaluation mode."""
    torch.manual_seed(recipe.seed)
    net = build()
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learn(net, clips, recipe, recipe.epochs, None, report)
    if recipe.distilled_epochs:
        torch.manual_seed(recipe.seed + 1)
        teacher = Teacher(torch.export.load(NETS["resnet18"].program).state_dict)
        learn(net, clips, recipe, recipe.distilled_epochs, teacher, report)
    return net.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload, no-any-return]


def learn(
    net: Monitor, clips: Clips, recipe: Recipe, epochs: int, teacher: Teacher | None, report: Callable[[str], None]
) -> None:
    """Run one cycle of warm-up and decay, from the labels and, if there is one, from a teacher."""
    steps = epochs * (len(clips.labels) // recipe.batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    with teacher.watching(net.embed) if teacher else contextlib.nullcontext():
        for epoch in range(epochs):
            total = 0.0
            for frames, labels in _shuffled(clips, recipe.batch):
                optimizer.zero_grad()
                loss = loss_of(net(frames), labels)
                if teacher:
                    loss = loss + teacher.loss(frames)
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                total += loss.item()
            report(f"epoch {epoch + 1}/{epochs}: loss {total * epochs / steps:.3f}")


def accuracy(net: nn.Module, clips: Clips) -> float:
    """Return the share of `clips` that `net` tells right."""
    return float((predictions(net, clips) == clips.labels).float().mean())


def predictions(net: nn.Module, clips: Clips) -> Tensor:
    """Return the most likely label [N] of each clip."""
    with torch.no_grad():
        answers = [
            net(clips.batch(indices)[0]).argmax(1)
            for indices in torch.split(torch.arange(len(clips.labels)), _EVALUATED)
        ]
    return torch.cat(answers)


def _shuffled(clips: Clips, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of whole batches, half of the clips mirrored, with a little change of brightness."""
    order = torch.randperm(len(clips.labels))
    for indices in torch.split(order[: len(order) // batch * batch], batch):
        frames, labels = mirror(*clips.batch(indices), torch.rand(batch) < 0.5)
        yield (frames * (0.85 + 0.3 * torch.rand(batch, 1, 1, 1, 1))).clamp(0, 1), labels


def write_card(name: str, program: Path, recipe: Recipe, held_out_accuracy: float) -> Path:
    """Write the model card beside the program: what it is, how good, and how to make it again."""
    card = {
        "name": program.stem,
        "net": name,
        "input": {"name": "frames", "shape": [1, FRAMES, 3, SIZE, SIZE], "dtype": "float32", "range": [0, 1]},
        "output": {"name": "logits", "labels": list(LABELS)},
        "heldOut": {"accuracy": round(held_out_accuracy, 4), "clips": recipe.held_out_clips},
        "recipe": asdict(recipe),
        "reproduce": f"PYTHONPATH=examples python -m driver_monitor.train --net {name}",
        "torch": torch.__version__,
        "sha256": hashlib.sha256(program.read_bytes()).hexdigest(),
    }
    path = program.with_suffix(".json")
    path.write_text(json.dumps(card, indent=2) + "\n")
    return path


def train_and_save(name: str, net: Net, output: Path) -> None:
    """Train by the net's recipe, measure it on the held-out clips, and write program and card."""
    recipe = net.recipe
    trained = train(net.reference, render_clips(recipe.clips, recipe.seed), recipe)
    held_out = accuracy(trained, render_clips(recipe.held_out_clips, recipe.held_out_seed))
    print(f"held-out accuracy {held_out:.2%} on {recipe.held_out_clips} clips of seed {recipe.held_out_seed}")
    save_program(trained, output)
    print(f"{output} and {write_card(name, output, recipe, held_out)}")


def main() -> None:
    """Train by the committed recipe: `python -m driver_monitor.train [--net mobilenet-v3-small] [--threads 2]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=NETS, default="resnet18")
    parser.add_argument("--output", type=Path, help="where the program goes; the committed file by default")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    net = NETS[arguments.net]
    train_and_save(arguments.net, net, arguments.output or net.program)


if __name__ == "__main__":
    main()
