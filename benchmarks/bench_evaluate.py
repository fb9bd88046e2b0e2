# ruff: noqa: E402 - the paths come first
"""What evaluation would gain from samples put together, and the search for a mixture gains from kept activations.

On the example's trained nets, side by side in one run: rounds are interleaved, and the least of each counts. Seconds of
the CPU stand beside those of the clock, because they bear other load better. Memory is what a fresh process takes.
`python benchmarks/bench_evaluate.py`
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("operator", "examples", "tests")]

import numpy as np
import onnx
from example_nets import CALIBRATE, EVALUATE, TITLES, resolved
from report import write_section

from dms_operator.api.capabilities import Precision
from dms_operator.api.quantization import StaticRecipe
from dms_operator.controller.rungs import Rung
from dms_operator.pipeline import mixed, sensitivity
from dms_operator.pipeline.calibration import Feed, calibrate
from dms_operator.pipeline.dataset import load_dataset
from dms_operator.pipeline.encodings import decoded_weights, read_encodings
from dms_operator.pipeline.machine import usable_cores
from dms_operator.pipeline.memory import MemoryWatch
from dms_operator.pipeline.mixed import Mixture
from dms_operator.pipeline.onnx_file import inputs_of
from dms_operator.pipeline.progress import silent
from dms_operator.pipeline.quantizer import prepare, quantize
from dms_operator.pipeline.schemes import scheme_for, weight_overrides
from dms_operator.pipeline.session import cpu_session, run_once
from driver_monitor.dataset import write_dataset

TOGETHER, SAMPLES = 8, 64
KEPT = sensitivity.PARTS
PRECISIONS: tuple[Precision, ...] = ("int8", "int4")
BATCHING = (
    "net",
    "form",
    "CPU a sample",
    "together, CPU",
    "together, clock",
    "peak",
    "together, peak",
    "outputs differ by",
)
SEARCHES = ("net", "precision", "units", "CPU of the search", "CPU", "clock", "same order")
Run = Callable[[], np.ndarray]


@dataclass
class Least:
    """The least seconds of several runs, and what the last one gave."""

    wall: float = float("inf")
    cpu: float = float("inf")
    value: Any = None

    def of(self, run: Callable[[], Any]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.value = run()
        self.wall = min(self.wall, time.perf_counter() - wall)
        self.cpu = min(self.cpu, time.process_time() - cpu)


def one_by_one(model: Path, feeds: Sequence[Feed]) -> Run:
    """As the pipeline evaluates: one sample per core."""
    session = cpu_session(model, threads=1)

    def run() -> np.ndarray:
        with ThreadPoolExecutor(usable_cores()) as pool:
            return np.concatenate(list(pool.map(lambda feed: run_once(session, feed)[0], feeds)))

    return run


def together(model: Path, feeds: Sequence[Feed]) -> Run:
    """TOGETHER samples at once, on all cores."""
    session = cpu_session(rebatched(model).SerializeToString())
    starts = range(0, len(feeds), TOGETHER)
    stacked = [
        {name: np.concatenate([feed[name] for feed in feeds[start : start + TOGETHER]]) for name in feeds[0]}
        for start in starts
    ]
    return lambda: np.concatenate([run_once(session, feed)[0] for feed in stacked])


WAYS = {"one by one": one_by_one, "together": together}


def rebatched(path: Path) -> onnx.ModelProto:
    """The model with an open batch: the first number of every reshape is left open, the others are those of batch 1."""
    model = onnx.shape_inference.infer_shapes(onnx.load_model(path))
    graph = model.graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.output]
    }
    for value in [*graph.input, *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.value_info[:]
    for node in graph.node:
        if node.op_type == "Reshape":
            opened = np.array([-1, *shapes[node.output[0]][1:]], np.int64)
            node.input[1] = f"{node.output[0]}_opened"
            graph.initializer.append(onnx.numpy_helper.from_array(opened, node.input[1]))
    return model


def feeds_of(model: Path, dataset: Path, count: int) -> list[Feed]:
    samples = load_dataset(dataset, inputs_of(onnx.load_model(model)), 1 << 32)
    return [samples.feed(number) for number in range(count)]


def batching_row(name: str, form: str, model: Path, dataset: Path, rounds: int) -> list[str]:
    """Cells of the first table."""
    feeds = feeds_of(model, dataset, SAMPLES)
    runs = {way: make(model, feeds) for way, make in WAYS.items()}
    found = {way: Least() for way in WAYS}
    for _ in range(rounds):
        for way, run in runs.items():
            found[way].of(run)
    single, joined = found.values()
    memory = [rise_mb(way, model, dataset) for way in WAYS]
    return [
        name,
        form,
        f"{1e3 * single.cpu / SAMPLES:.2f} ms",
        f"{joined.cpu / single.cpu:.2f}",
        f"{joined.wall / single.wall:.2f}",
        f"{memory[0]:.0f} MB",
        f"{memory[1]:.0f} MB",
        f"{np.abs(joined.value - single.value).max():.1g}",
    ]


def rise_mb(way: str, model: Path, dataset: Path) -> float:
    """What the peak of a fresh process rises by when it loads a model and evaluates."""
    command = [sys.executable, __file__, "--child", way, "--model", str(model), "--dataset", str(dataset)]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def child(way: str, model: Path, dataset: Path) -> None:
    feeds, watch = feeds_of(model, dataset, 2 * TOGETHER), MemoryWatch()
    WAYS[way](model, feeds)()
    print(json.dumps((watch.peak_bytes() or 0) / 1e6))


def search_row(name: str, precision: Precision, source: Path, dataset: Path, rounds: int) -> list[str]:
    """Cells of the second table."""
    with tempfile.TemporaryDirectory() as workdir:
        search = prepared_search(precision, source, feeds_of(source, dataset, SAMPLES), Path(workdir))
    found = {1: Least(), KEPT: Least()}
    for _ in range(rounds):
        for parts, least in found.items():
            sensitivity.PARTS = parts
            least.of(search)
    whole, kept = found.values()
    order = [[row.tensors for row in least.value.rows] for least in (whole, kept)]
    return [
        name,
        precision,
        f"{len(order[0])}",
        f"{whole.cpu:.1f} s",
        f"{kept.cpu / whole.cpu:.2f}",
        f"{kept.wall / whole.wall:.2f}",
        "yes" if order[0] == order[1] else "no",
    ]


def prepared_search(precision: Precision, source: Path, feeds: list[Feed], workdir: Path) -> Callable[[], Mixture]:
    """The search of the stage `quantize`, the samples' drop aside: nothing is ever enough."""
    scheme = scheme_for("qnn", precision)
    prepared, target = prepare(source, workdir / "prepared.onnx", scheme), workdir / "quantized.onnx"
    ranges = calibrate(prepared, feeds, len(feeds), "minmax", scheme.activation_bits, silent)
    model = onnx.load_model(prepared)
    quantize(prepared, target, scheme, ranges, weight_overrides(scheme, model))
    quantized = onnx.load_model(target)
    encodings, weights = read_encodings(quantized), dict(decoded_weights(quantized))
    return lambda: mixed.search(model, scheme, encodings, weights, feeds, lambda outputs: 1.0, 0.0, silent)


def measure(names: Sequence[str], rounds: int) -> tuple[list[list[str]], list[list[str]]]:
    """The rows of both tables."""
    batching, searches = [], []
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        os.environ["DMS_FILE_ROOTS"] = directory
        dataset = write_dataset(root / "data.npz", CALIBRATE + EVALUATE, 777)
        for name in names:
            net = resolved(name, root, dataset)
            source = net.stages.files(net.resolved)["model.onnx"]
            quantized = net.stages.files(net.quantize(Rung("int8", "static", "minmax", StaticRecipe()), "qnn"))
            for form, model in (("float", source), ("w8a8", quantized["model.onnx"])):
                batching.append(batching_row(TITLES[name], form, model, dataset, rounds))
                print(*batching[-1], sep=" | ", flush=True)
            for precision in PRECISIONS:
                searches.append(search_row(TITLES[name], precision, source, dataset, min(rounds, 3)))
                print(*searches[-1], sep=" | ", flush=True)
    return batching, searches


def text(batching: list[list[str]], searches: list[list[str]]) -> str:
    return "\n".join(
        [
            f"Trained nets, {SAMPLES} clips of 8 frames at 64x64, {usable_cores()} cores, `make bench-evaluate`. "
            "`CPU` and `clock` are ratios of the least seconds of interleaved rounds.",
            "",
            f"{TOGETHER} samples together, in a file made for that, against one sample per core:",
            "",
            *table(BATCHING, batching),
            "",
            f"The search for a mixture with activations kept at {KEPT - 1} cuts at most, against one in "
            "which every run begins at the input:",
            "",
            *table(SEARCHES, searches),
        ]
    )


def table(columns: Sequence[str], rows: list[list[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nets", nargs="*", default=list(TITLES), choices=list(TITLES))
    parser.add_argument("--child", choices=list(WAYS))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--dataset", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.model, arguments.dataset)
        return
    found = text(*measure(arguments.nets, arguments.rounds))
    print(found)
    write_section(ROOT / "docs" / "performance.md", "evaluate", "Evaluation and the search for a mixture", found)


if __name__ == "__main__":
    main()
