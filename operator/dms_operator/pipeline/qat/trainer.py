"""The training loop. It can be stopped after any step, and goes on to the same bytes."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule

from ..progress import Progress
from .checkpoints import Checkpoints, State
from .features import FEATURES_SHARE, Features
from .learned_range import learned_ranges
from .limits import Diverged, Limits
from .losses import Loss
from .optimizer import Optimizer
from .samples import Samples, float_outputs, groups
from .start import LearnedRounding

SETTLED_AT = 0.6
"""Share of the steps after which ranges of activations no longer follow the data (reference measurements): they are
learned, or stay where steps are powers of two. Earlier, what grew out of its range would have no gradient."""
CALIBRATION_SAMPLES = 64
"""Samples that set the ranges before the first step; as many as the reference measurements used."""
CHECKPOINT_STEPS = 50
"""Steps between checkpoints inside an epoch; the end of an epoch always writes one."""
EPOCHS_INSIDE = 2
"""Epochs in a row inside the accuracy gate after which training may stop: one alone may be luck of a small sample."""
DIVERGENCE = 10.0
"""An epoch whose mean loss is this many times that before training (and not small) has diverged."""
SMALL_LOSS = 0.1
"""Losses are in nats or in shares of an output's power; below a tenth nothing is lost."""


@dataclass(frozen=True)
class Settings:
    """What the recipe says about training."""

    epochs: int
    learning_rate: float
    batch_size: int
    max_accuracy_drop: float
    seed: int
    together: int = 1
    """Samples that the net takes at once; a batch is worked off in groups of so many."""


@dataclass(frozen=True)
class Verdict:
    """A converted snapshot on the held-out samples."""

    score: float
    drop: float
    loss: float


@dataclass
class Epoch:
    """One row of the history. Epoch 0 is the net before training."""

    epoch: int
    training_loss: float | None
    score: float
    drop: float
    held_out_loss: float


@dataclass
class Run:
    """Everything that a checkpoint holds beside the weights."""

    step: int = 0
    loss_sum: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: State | None = None
    best_epoch: int = 0


Judge = Callable[[GraphModule], Verdict]


class Trainer:
    """Trains a prepared model in place."""

    def __init__(
        self,
        model: GraphModule,
        samples: Samples,
        loss: Loss,
        judge: Judge,
        settings: Settings,
        checkpoints: Checkpoints,
        limits: Limits,
        progress: Progress,
        features: Features,
        start: LearnedRounding | None,
    ) -> None:
        """`samples` carry the teacher's answers; `judge` scores a converted copy on held-out samples.

        `features` compare this very model's layers; without a `start` training begins at the float weights.
        """
        self.model, self._samples, self._loss, self._judge = model, samples, loss, judge
        self._settings, self._checkpoints, self._limits, self._progress = settings, checkpoints, limits, progress
        self._features = features
        self._start = start
        self._optimizer = Optimizer(model, settings.learning_rate)
        self._steps_per_epoch = math.ceil(len(samples) / settings.batch_size)
        self._steps = self._steps_per_epoch * settings.epochs
        self._settled = int(SETTLED_AT * self._steps)
        self._run = Run()

    def train(self) -> list[Epoch]:
        """Train until the gate is passed or the epochs are over; the model is then the best snapshot.

        Raises Diverged, TimeLimitReached, MemoryLimitReached (a checkpoint is written first).
        """
        state = self._checkpoints.load()
        if state is None:
            self._begin()
        else:
            self._restore(state)
        while self._run.step < self._steps and not self._is_over():
            self._guarded_step()
        assert self._run.best is not None
        self.model.load_state_dict(self._run.best)
        set_observers(self.model, enabled=False)
        return self._run.history

    @property
    def history(self) -> list[Epoch]:
        """One row per epoch; the first is the net before training."""
        return self._run.history

    @property
    def best_epoch(self) -> int:
        """The epoch whose snapshot was chosen."""
        return self._run.best_epoch

    def _begin(self) -> None:
        """Set the ranges from training samples, and judge the net as it is."""
        if self._start:
            self._start.give_weights()
        set_fake_quantization(self.model, enabled=False)
        count = min(CALIBRATION_SAMPLES, len(self._samples))
        with torch.no_grad():
            for places in groups(range(count), self._settings.together):
                self.model(*self._samples.inputs(places))
                self._progress("ranges", places[-1] + 1, count)
        if self._start:
            self._start.give_steps()
        set_fake_quantization(self.model, enabled=True)
        self._optimizer.learn(learned_ranges(self.model, of_weights=True))
        self._close_epoch(None)

    def _guarded_step(self) -> None:
        """One step, then whatever is due: the end of an epoch, a checkpoint, a limit."""
        self._step()
        run, per_epoch = self._run, self._steps_per_epoch
        if run.step % per_epoch == 0:
            self._close_epoch(run.loss_sum / per_epoch)
            self._checkpoints.save(self._state())
        elif run.step % CHECKPOINT_STEPS == 0:
            self._checkpoints.save(self._state())
        try:
            self._limits.check(f"step {run.step} of {self._steps}")
        except Exception:
            self._checkpoints.save(self._state())
            raise

    def _step(self) -> None:
        """Gradients of one batch, and one move of the optimizer."""
        run, settings = self._run, self._settings
        if run.step == self._settled:
            self._optimizer.learn(learned_ranges(self.model, of_weights=False))
        set_observers(self.model, enabled=run.step < self._settled)
        batch = self._batch()
        self._optimizer.clear()
        total = sum(self._accumulate(places, len(places) / len(batch)) for places in groups(batch, settings.together))
        self._refuse_divergence(total)
        self._optimizer.step(run.step / self._steps)
        run.step, run.loss_sum = run.step + 1, run.loss_sum + total
        self._progress("train", run.step, self._steps)

    def _accumulate(self, places: Sequence[int], share: float) -> float:
        """Add the gradients of a group of samples that is a share of the batch; gives its part of the answers' loss."""
        raw, layers = self._features.compare(self._samples.inputs(places))
        answers, labels = self._samples.answers(places), self._samples.labels_of(places)
        loss = self._loss(float_outputs(raw), answers, labels)
        (share * (loss + FEATURES_SHARE * layers)).backward()
        return share * loss.item()

    def _batch(self) -> list[int]:
        """Places of the step's samples: every epoch has an order of its own, decided by seed and number alone."""
        epoch, step = divmod(self._run.step, self._steps_per_epoch)
        order = np.random.default_rng([self._settings.seed, epoch]).permutation(len(self._samples))
        size = self._settings.batch_size
        return [int(place) for place in order[step * size : (step + 1) * size]]

    def _refuse_divergence(self, loss: float) -> None:
        if not (math.isfinite(loss) and self._optimizer.is_finite()):
            raise self._diverged("became NaN or infinite")

    def _diverged(self, what: str) -> Diverged:
        self._checkpoints.remove()  # a retry must not take up a run that is lost
        epoch = len(self._run.history)  # the first row is the net before training
        return Diverged(
            f"training diverged: the loss {what} in epoch {epoch} (learning rate {self._settings.learning_rate:g})",
            hint="Lower spec.quantization.qat.learningRate, ten times for a start",
        )

    def _close_epoch(self, training_loss: float | None) -> None:
        """Judge a snapshot, and keep it if it is the best so far."""
        run = self._run
        if training_loss is not None:
            before = run.history[0].held_out_loss
            if training_loss > DIVERGENCE * max(before, SMALL_LOSS):
                raise self._diverged(f"rose from {before:.3g} to {training_loss:.3g}")
        verdict = self._judge(self.model)
        row = Epoch(len(run.history), training_loss, verdict.score, verdict.drop, verdict.loss)
        if is_best(row, run.history, self._settings.max_accuracy_drop):
            run.best, run.best_epoch = copy.deepcopy(self.model.state_dict()), row.epoch
        run.history.append(row)
        run.loss_sum = 0.0

    def _is_over(self) -> bool:
        at_end_of_epoch = self._run.step % self._steps_per_epoch == 0
        return at_end_of_epoch and is_enough(self._run.history, self._settings.max_accuracy_drop)

    def _state(self) -> State:
        run: dict[str, Any] = {key: value for key, value in vars(self._run).items() if key != "history"}
        history = [asdict(row) for row in self._run.history]
        return {**run, "history": history, "model": self.model.state_dict(), "optimizer": self._optimizer.state()}

    def _restore(self, state: State) -> None:
        self.model.load_state_dict(state["model"])
        for of_weights in (True, False):
            ranges = learned_ranges(self.model, of_weights=of_weights)
            self._optimizer.learn(each for each in ranges if each.growth is not None)
        self._optimizer.restore(state["optimizer"])
        history = [Epoch(**row) for row in state["history"]]
        self._run = Run(state["step"], state["loss_sum"], history, state["best"], state["best_epoch"])


def is_enough(history: Sequence[Epoch], max_accuracy_drop: float) -> bool:
    """Whether the last epochs were inside the accuracy gate, and none of them brought the held-out loss lower."""
    before, last = history[:-EPOCHS_INSIDE], history[1:][-EPOCHS_INSIDE:]
    inside = len(last) == EPOCHS_INSIDE and all(row.drop <= max_accuracy_drop for row in last)
    return inside and all(row.held_out_loss >= min(each.held_out_loss for each in before) for row in last)


def set_observers(model: GraphModule, *, enabled: bool) -> None:
    """Let ranges follow the data, or leave them as they are; those that are learned follow their gradients alone."""
    for module in model.modules():
        _switch(module, "observer_enabled", enabled)


def set_fake_quantization(model: GraphModule, *, enabled: bool) -> None:
    """Round tensors to their grids, or only watch them."""
    for module in model.modules():
        _switch(module, "fake_quant_enabled", enabled)


def _switch(module: torch.nn.Module, name: str, enabled: bool) -> None:
    buffer = getattr(module, name, None)
    if isinstance(buffer, torch.Tensor):
        buffer[0] = int(enabled)


def is_best(row: Epoch, history: Sequence[Epoch], max_accuracy_drop: float) -> bool:
    """Whether an epoch beats all before it: by its drop outside the gate, inside by its loss, where drops are luck."""

    def rank(each: Epoch) -> tuple[float, float]:
        return max(each.drop, max_accuracy_drop), each.held_out_loss

    return all(rank(row) < rank(each) for each in history)
