"""How far a model's first output moves when one unit of tensors alone is rounded.

Nothing changes before the first reader of these tensors. So the model is cut at a few places, the float activations
there are kept for every sample, and a unit is measured by running the rest of the model from the last cut before it.
One part is worked on at a time, and gives what the next one starts from.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from .calibration import Feed
from .encodings import Encoding
from .feeds import Feeds, Samples
from .linear_layers import Array
from .parts import Cut, Work, cuts, first_readers, part
from .progress import Progress
from .switches import Switched

PARTS = 8
"""More parts skip little more work, and each is a session to load (`make bench-evaluate`)."""
KEPT_BYTES = 128 << 20
"""Most bytes of activations that are kept at one cut for all samples; those of two cuts are held at a time."""


def errors_alone(
    model: onnx.ModelProto,
    activations: Mapping[str, Encoding],
    weights: Mapping[str, Array],
    units: Sequence[set[str]],
    samples: Samples,
    work: Work,
    progress: Progress,
) -> list[float]:
    """For each unit the squared change of the first output, as a share of the output's own square.

    `activations` and `weights` say what a unit's tensors are rounded to; `work` where the model's work lies.
    """
    first = model.graph.output[0].name
    model = part(model, [first])
    readers = first_readers(model)
    there = [{name for name in unit if name in readers} for unit in units]
    places = cuts(model, work, PARTS, KEPT_BYTES // len(samples))
    starts = [_last_before(places, min(readers[name] for name in unit)) if unit else None for unit in there]
    errors, done = [0.0] * len(units), 0
    kept: list[Feed] = [{} for _ in range(len(samples))]
    for number, (place, following) in enumerate(zip(places, [*places[1:], Cut(0, ())], strict=True)):
        new = [name for name in following.kept if name not in place.kept]
        own = [unit for unit, start in enumerate(starts) if start == number]
        rest = Switched(part(model, [first, *new], place.kept), activations, weights, [there[unit] for unit in own])
        known = _known(samples, kept)
        exact, *fresh = zip(*rest.outputs(known), strict=True)
        for switch, unit in enumerate(own):
            errors[unit] = _error(rest.first_outputs(known, [switch]), np.stack(exact))
            done += 1
            progress("sensitivity", done, len(units))
        kept = _kept(following, kept, dict(zip(new, fresh, strict=True)))
    return errors


def _last_before(places: Sequence[Cut], reader: int) -> int:
    """The number of the last cut before a node's position."""
    return max(number for number, place in enumerate(places) if place.position <= reader)


def _known(samples: Samples, kept: Sequence[Feed]) -> Feeds:
    """Inputs and kept activations of each sample."""
    return Feeds(lambda number: samples[number] | kept[number], len(samples))


def _kept(place: Cut, before: Sequence[Feed], new: Mapping[str, Sequence[Array]]) -> list[Feed]:
    """What is kept at a cut of each sample: from the cut before, or computed behind that."""
    return [
        {name: new[name][number] if name in new else old[name] for name in place.kept}
        for number, old in enumerate(before)
    ]


def _error(changed: Array, exact: Array) -> float:
    wanted = exact.reshape(changed.shape).astype(np.float64)
    return float(((changed - wanted) ** 2).mean()) / max(float((wanted**2).mean()), 1e-30)
