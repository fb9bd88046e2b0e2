"""Compares variants of a net on a board, as a Markdown table: `python -m dms_operator.toolchains.qnn.compare --help`.

Each variant is compiled for the board, priced by the cost model, and run on the simulator over labelled samples.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ...api.capabilities import BOARDS, BoardType
from ...api.errors import DMSError
from ..arguments import existing_file, named_file
from ..base import Arrays
from ..manifest import read_report
from ..samples import input_shapes
from .cost import NO_COST_MODEL
from .evaluate import evaluate
from .toolchain import LAYERS, Qnn

HEADER = (
    "variant",
    "NPU nodes",
    "cost model (us)",
    "speed-up",
    "DDR (KiB)",
    "top-1 on target",
    "of the model",
    "same answer",
    "max error",
    "mean error",
    "SQNR",
)


@dataclass(frozen=True)
class Row:
    """One variant's figures; `time_us` is None where the SoC has no cost model.

    Errors are those of the first output, target against the ONNX model that was compiled, in the output's own unit.
    """

    name: str
    npu: int
    total: int
    time_us: int | None
    bounds_us: tuple[int, int]
    ddr_bytes: int
    top1_target: float
    top1_model: float
    same_top: float
    """Share of samples on which the largest value of both is at the same place."""
    max_error: float
    mean_error: float
    sqnr_db: float


def compare(name: str, model: Path, board: BoardType, samples: Sequence[Arrays], labels: Sequence[int]) -> Row:
    """Compile, price and simulate one variant; top-1 counts the first output's largest value.

    Raises as `Qnn.convert` and `evaluate` do.
    """
    with TemporaryDirectory(prefix="compare-") as scratch:
        out = Path(scratch) / "compiled"
        compiled = Qnn().convert(model, board, {"layer-profile": "false"}, out, _report)
        cost = read_report(out, LAYERS)["costModel"]
        found = evaluate(out, model, samples, len(samples), Path(scratch), _report)
    delegation = compiled.facts.delegation
    top1 = [float(np.mean(side.reshape(len(side), -1).argmax(1) == labels)) for side in (found.target, found.host)]
    first = next(iter(found.agreement.outputs.values()))
    return Row(
        name=name,
        npu=delegation.npu,
        total=delegation.total,
        time_us=cost.get("timeUs"),
        bounds_us=(cost.get("lowerUs", 0), cost.get("upperUs", 0)),
        ddr_bytes=sum(cost.get("trafficBytes", {}).values()),
        top1_target=top1[0],
        top1_model=top1[1],
        same_top=found.agreement.same_top / found.agreement.samples,
        max_error=first.max_error,
        mean_error=first.mean_error,
        sqnr_db=first.sqnr_db,
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown; the speed-up is against the first row."""
    lines = [HEADER, ["---"] * len(HEADER), *(cells(row, rows[0]) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(row: Row, first: Row) -> list[str]:
    """One line of the table."""
    low, high = row.bounds_us
    priced = row.time_us is not None
    return [
        row.name,
        f"{row.npu} of {row.total}",
        f"{row.time_us} ({low} to {high})" if priced else NO_COST_MODEL,
        f"{first.time_us / row.time_us:.2f}" if first.time_us and row.time_us else "",
        f"{row.ddr_bytes / 1024:.0f}" if priced else "",
        f"{row.top1_target:.4f}",
        f"{row.top1_model:.4f}",
        f"{row.same_top:.1%}",
        f"{row.max_error:.3g}",
        f"{row.mean_error:.3g}",
        f"{row.sqnr_db:.1f} dB",
    ]


def _report(step: str, done: int, total: int) -> None:
    print(f"@progress {step} {done}/{total}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 and the error's own words when a variant fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="+", type=named_file, metavar="name=model.onnx", help="the baseline first")
    parser.add_argument("--board", choices=list(BOARDS), default="qcs8255")
    parser.add_argument("--dataset", type=existing_file, required=True, help=".npz: one array per input, and labels")
    parser.add_argument("--samples", type=int, default=64, help="how many samples of the dataset to simulate")
    given = parser.parse_args(arguments)
    samples, labels = _dataset(given.dataset, given.variants[0][1], given.samples)
    try:
        print(table([compare(name, path, given.board, samples, labels) for name, path in given.variants]))
    except DMSError as error:
        print(f"{error.reason}: {error}", file=sys.stderr)
        return 1
    return 0


def _dataset(path: Path, model: Path, count: int) -> tuple[list[Arrays], list[int]]:
    shapes = input_shapes(model)
    with np.load(path, allow_pickle=False) as archive:
        labels = [int(label) for label in archive["labels"][:count]]
        arrays = {name: archive[name][:count] for name in shapes}
    samples: list[Arrays] = [
        {name: array[index].reshape(shapes[name]) for name, array in arrays.items()} for index in range(len(labels))
    ]
    return samples, labels


if __name__ == "__main__":
    sys.exit(main())
