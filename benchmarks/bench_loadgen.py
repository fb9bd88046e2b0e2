"""Our runner beside MLPerf's LoadGen (SingleStream): the same session, the same inputs, one run (`make bench-loadgen`).

The two take turns of a few queries, so that the machine's noise meets both alike: what is left is how they time, not
when. LoadGen waits, untimed, while ours has its turn, and the other way round. A difference is that of one round's
pair, and the median over the rounds counts.
"""
# ruff: noqa: E402 - the paths come first

import argparse
import os
import re
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("operator", "examples")]

import mlperf_loadgen
import onnxruntime
from report import write_section

from dms_operator.pipeline.export import to_onnx
from dms_operator.pipeline.latency import Profile, measure
from dms_operator.pipeline.machine import cpu_name, usable_cores
from dms_operator.pipeline.percentiles import percentile, upper_bound
from dms_operator.pipeline.session import cpu_session
from dms_operator.toolchains.ort_session import OrtSession
from driver_monitor.dataset import make_dataset

PROGRAM = ROOT / "examples" / "models" / "driver-monitor.pt2"
INPUTS = 64
PERCENT = 99.0
AIM = 0.02
"""Largest accepted difference of p50 and of p99."""
WARMUP = 50
SUMMARY = {
    "p50": r"^50\.00 percentile latency \(ns\) *: (\d+)$",
    "p99": r"^99\.00 percentile latency \(ns\) *: (\d+)$",
    "bound": r"Early stopping 99\.0th percentile estimate: (\d+)$",
}
"""Where mlperf_log_summary.txt has the figures."""

Query = Callable[[], None]


@dataclass(frozen=True)
class Figures:
    """Seconds."""

    p50: float
    p99: float
    bound: float
    """Ours: the upper confidence bound of p99; LoadGen's: its early stopping estimate."""


Pair = tuple[Figures, Figures]
"""Ours, LoadGen's."""


class Turns:
    """Two threads take turns of `size` queries each; when one has ended, the other goes on alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = (threading.Semaphore(1), threading.Semaphore(0))
        self._taken = [0, 0]
        self._over = threading.Event()

    def take(self, party: int) -> None:
        """Wait until this party (0 or 1) may time its next query."""
        if self._taken[party] % self._size == 0:
            if self._taken[party]:
                self._free[1 - party].release()
            if not self._over.is_set():
                self._free[party].acquire()
        self._taken[party] += 1

    def end(self, party: int) -> None:
        """Let the other one go on alone."""
        self._over.set()
        self._free[1 - party].release()


class Rotation(Sequence[Query]):
    """The queries for ever, each waiting for its turn before it is handed to the runner's loop."""

    def __init__(self, queries: Sequence[Query], turns: Turns) -> None:
        self._queries, self._turns = queries, turns

    def __len__(self) -> int:
        return len(self._queries)

    def __getitem__(self, index: int) -> Query:  # type: ignore[override]
        return self._queries[index]

    def __iter__(self) -> Iterator[Query]:
        while True:
            for query in self._queries:
                self._turns.take(0)
                yield query


def our_round(queries: Sequence[Query], count: int, turns: Turns) -> Figures:
    """Time by the runner of the benchmark stage."""
    timing = measure(Rotation(queries, turns), Profile(count, 0.0), WARMUP, lambda done, total: None)
    turns.end(0)
    latencies = timing.nanoseconds
    bound = upper_bound(latencies, PERCENT)
    assert bound is not None, "too few queries for a bound"
    return Figures(percentile(latencies, 50), percentile(latencies, PERCENT), bound)


def loadgen_round(queries: Sequence[Query], count: int, turns: Turns, directory: Path) -> Figures:
    """Time by LoadGen, and read its summary."""

    def issue(samples: Sequence[mlperf_loadgen.QuerySample]) -> None:
        (sample,) = samples
        queries[sample.index]()
        mlperf_loadgen.QuerySamplesComplete([mlperf_loadgen.QuerySampleResponse(sample.id, 0, 0)])
        # the clock of this query has stopped, and that of the next one starts after our return
        turns.take(1)

    turns.take(1)
    system = mlperf_loadgen.ConstructSUT(issue, lambda: None)
    library = mlperf_loadgen.ConstructQSL(len(queries), len(queries), lambda samples: None, lambda samples: None)
    try:
        mlperf_loadgen.StartTestWithLogSettings(system, library, _settings(count), _logs(directory), "")
    finally:
        mlperf_loadgen.DestroyQSL(library)
        mlperf_loadgen.DestroySUT(system)
        turns.end(1)
    return parsed((directory / "mlperf_log_summary.txt").read_text())


def _settings(count: int) -> mlperf_loadgen.TestSettings:
    settings = mlperf_loadgen.TestSettings()
    settings.scenario = mlperf_loadgen.TestScenario.SingleStream
    settings.mode = mlperf_loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = count
    settings.min_duration_ms = 0
    settings.single_stream_target_latency_percentile = PERCENT / 100
    return settings


def _logs(directory: Path) -> mlperf_loadgen.LogSettings:
    output = mlperf_loadgen.LogOutputSettings()
    output.outdir = str(directory)
    logs = mlperf_loadgen.LogSettings()
    logs.log_output = output
    logs.enable_trace = False
    return logs


def parsed(summary: str) -> Figures:
    """LoadGen's own figures."""
    found = {name: re.search(pattern, summary, re.MULTILINE) for name, pattern in SUMMARY.items()}
    missing = [name for name, match in found.items() if match is None]
    if missing:
        raise ValueError(f"LoadGen's summary has no {', '.join(missing)}:\n{summary}")
    return Figures(**{name: int(match[1]) * 1e-9 for name, match in found.items() if match})


def one_round(queries: Sequence[Query], count: int, size: int) -> Pair:
    """Both runners, taking turns."""
    turns = Turns(size)
    answers: list[Figures] = []
    with tempfile.TemporaryDirectory() as name:
        thread = threading.Thread(target=lambda: answers.append(loadgen_round(queries, count, turns, Path(name))))
        thread.start()
        ours = our_round(queries, count, turns)
        thread.join()
    return ours, answers[0]


def unpreempted() -> bool:
    """Ask for the lowest real-time priority, so that other work of a shared machine does not cut into queries."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    return True


def open_queries(threads: int) -> list[Query]:
    """The reference net in float in one session, and one bound query per input."""
    with tempfile.TemporaryDirectory() as name:
        model = to_onnx(PROGRAM, "pt2", None, Path(name))
    session = OrtSession(cpu_session(model.SerializeToString(), threads))
    frames, _ = make_dataset(INPUTS, 7)
    (name,) = (given.name for given in session.native.get_inputs())
    return [session.query({name: frames[index : index + 1]}) for index in range(INPUTS)]


def difference(pairs: Sequence[Pair], name: str) -> tuple[float, float, float]:
    """Ours against LoadGen's within each pair: median, least and largest, as shares of LoadGen's."""
    found = [getattr(ours, name) / getattr(theirs, name) - 1 for ours, theirs in pairs]
    return statistics.median(found), min(found), max(found)


def table(pairs: Sequence[Pair], count: int, size: int, threads: int, realtime: bool) -> str:
    priority = "real-time priority" if realtime else "no real-time priority (not permitted): p99 shows other work, too"
    lines = [
        f"The driver monitor in float32 on {cpu_name()} ({threads} of {usable_cores()} cores), onnxruntime "
        f"{onnxruntime.__version__}, {len(pairs)} rounds of {count} queries each, in turns of {size}, "
        f"{priority}; `make bench-loadgen`. Figures are medians over the rounds.",
        "",
        "| | our runner | LoadGen | difference within a round: median (least to largest) |",
        "|---|---|---|---|",
        *(_row(label, pairs, name) for name, label in LABELS.items()),
        "",
        f"Aim: p50 and p99 within {AIM:.0%}{_verdict(pairs)}.",
    ]
    return "\n".join(lines)


def _verdict(pairs: Sequence[Pair]) -> str:
    missed = [name for name in ("p50", "p99") if abs(difference(pairs, name)[0]) > AIM]
    return f"; not met in this run: {', '.join(missed)}" if missed else ", met in this run"


LABELS = {
    "p50": "p50",
    "p99": "p99",
    "bound": "p99 that the true one does not exceed (99 % confidence): our bound, LoadGen's early stopping estimate",
}


def _row(label: str, pairs: Sequence[Pair], name: str) -> str:
    ours, theirs = (statistics.median(getattr(pair[side], name) for pair in pairs) * 1e3 for side in (0, 1))
    middle, least, largest = difference(pairs, name)
    return f"| {label} | {ours:.3f} ms | {theirs:.3f} ms | {middle:+.2%} ({least:+.2%} to {largest:+.2%}) |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--turn", type=int, default=1, help="queries until the other one has its turn")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    queries = open_queries(arguments.threads)
    for query in queries:
        query()
    realtime, pairs = unpreempted(), []
    for number in range(arguments.rounds):
        pairs.append(one_round(queries, arguments.queries, arguments.turn))
        shown = "  ".join(f"p50 {each.p50 * 1e3:.3f} p99 {each.p99 * 1e3:.3f} ms" for each in pairs[-1])
        print(f"round {number + 1}/{arguments.rounds}  (ours, LoadGen)  {shown}", flush=True)
    text = table(pairs, arguments.queries, arguments.turn, arguments.threads, realtime)
    print(text)
    write_section(ROOT / "docs" / "performance.md", "loadgen", "Our runner beside LoadGen", text)


if __name__ == "__main__":
    main()
