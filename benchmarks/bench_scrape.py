"""A scrape of many deployments: their text kept since they last changed, against the client library making it anew.

Both serve the same made-up deployments (rolled out, so with all series there are) over HTTP by the operator's own
server, each in a process of its own that does nothing else; another process reads. Memory is what the process grew by
while it took the deployments in, and then by scrapes.

    python benchmarks/bench_scrape.py [--deployments 10000] [--rounds 3] [--dry-run]

The table goes to docs/performance.md, section "Scrape".
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Literal, Protocol, get_args

import psutil
from operator_cluster import REPOSITORY
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from report import write_section

from controller.fleet_world import fleet_world
from dms_operator.api.status import DeploymentStatus
from dms_operator.controller.caches import ObjectName
from dms_operator.controller.exposition import Exposition
from dms_operator.controller.health import Health
from dms_operator.controller.model_samples import FAMILIES, samples_of
from dms_operator.controller.samples import Family, Sample
from dms_operator.controller.web import application, serving

PAGE = REPOSITORY / "docs" / "performance.md"
SCRAPES = 3
TICK = 0.001
"""Seconds between two looks at whether other work may come in between."""
READER = "import sys, urllib.request; print(len(urllib.request.urlopen(sys.argv[1]).read()))"
Way = Literal["anew", "kept"]
Figures = dict[str, float]


class Store(Protocol):
    """Takes samples, and gives their text."""

    def put(self, name: ObjectName, samples: list[Sample]) -> None:
        """Replace a deployment's samples."""

    def pieces(self) -> Iterator[bytes]:
        """The text."""


class _One(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


class Anew:
    """As the operator did: samples are kept, and the client library makes the text of a family at a time."""

    def __init__(self) -> None:
        self._samples: dict[Family, dict[ObjectName, list[Sample]]] = {family: {} for family in FAMILIES}

    def put(self, name: ObjectName, samples: list[Sample]) -> None:
        """Replace a deployment's samples."""
        for by_name in self._samples.values():
            by_name.pop(name, None)
        for sample in samples:
            self._samples[sample.family].setdefault(name, []).append(sample)

    def pieces(self) -> Iterator[bytes]:
        """The text."""
        for family, by_name in self._samples.items():
            gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for sample in (each for samples in by_name.values() for each in samples):
                gauge.add_metric(sample.labels, sample.value)
            alone = CollectorRegistry()
            alone.register(_One(gauge))
            yield generate_latest(alone)


def filled(store: Store, count: int) -> float:
    """Take the deployments in; gives the CPU seconds that it took beyond making the samples."""
    fleet = fleet_world().settle()
    spec, status = fleet.body["spec"], DeploymentStatus.model_validate(fleet.status)
    spent = 0.0
    for number in range(count):
        name = ObjectName(f"team-{number % 50}", f"driver-monitor-{number:05d}")
        samples = samples_of(name, spec, status)
        started = time.process_time()
        store.put(name, samples)
        spent += time.process_time() - started
    return spent


async def scraped(store: Store) -> Figures:
    """Serve scrapes to another process."""
    app = application(Health(lambda: True, dict, lambda: 0.0), CollectorRegistry(), store.pieces)
    async with serving(app, "127.0.0.1", 0) as port:
        found = [await _scrape(f"http://127.0.0.1:{port}/metrics") for _ in range(SCRAPES)]
    return {key: median(each[key] for each in found) for key in found[0]}


async def _scrape(url: str) -> Figures:
    pauses = asyncio.create_task(_longest_pause())
    await asyncio.sleep(10 * TICK)
    cpu = time.process_time()
    reader = await asyncio.create_subprocess_exec(sys.executable, "-c", READER, url, stdout=subprocess.PIPE)
    text, _ = await reader.communicate()
    spent = time.process_time() - cpu
    pauses.cancel()
    return {"cpu": spent, "pause": await pauses, "bytes": float(text)}


async def _longest_pause() -> float:
    """CPU seconds for which other work had to wait at most, until cancelled."""
    longest, last = 0.0, time.process_time()
    try:
        while True:
            await asyncio.sleep(TICK)
            now = time.process_time()
            longest, last = max(longest, now - last), now
    except asyncio.CancelledError:
        return longest


def _megabytes() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


def measured(way: Way, count: int) -> Figures:
    """One way, in this process."""
    makes: dict[Way, Callable[[], Store]] = {"anew": Anew, "kept": lambda: Exposition(FAMILIES)}
    filled(makes[way](), 10)
    empty, store = _megabytes(), makes[way]()
    put = filled(store, count)
    full = _megabytes()
    figures = asyncio.run(scraped(store))
    return {**figures, "put": put / count, "kept": full - empty, "above": _megabytes() - full}


def in_a_process(way: Way, count: int) -> Figures:
    """One way, in a process of its own."""
    command = [sys.executable, __file__, f"--deployments={count}", f"--way={way}"]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def report(count: int, rounds: int, found: dict[Way, Figures]) -> str:
    """The section of the page."""
    rows = (
        ("CPU of a scrape", "cpu", 1e3, "ms"),
        ("CPU for which other work waits at most", "pause", 1e3, "ms"),
        ("CPU when a deployment changes, besides its samples", "put", 1e6, "µs"),
        ("memory of the samples or their text", "kept", 1, "MB"),
        ("memory that scrapes take above it", "above", 1, "MB"),
    )
    anew, kept = found["anew"], found["kept"]
    return "\n".join(
        [
            f"{count} deployments that are rolled out, {kept['bytes'] / 1e6:.1f} MB of text, read over HTTP; both ways "
            f"take turns, medians over rounds of {SCRAPES} scrapes each. "
            f"`python benchmarks/bench_scrape.py --deployments {count} --rounds {rounds}`.",
            "",
            "| | made anew by the client library | kept until it changes | ratio |",
            "|---|---|---|---|",
            *(
                f"| {what} | {anew[key] * scale:.1f} {unit} | {kept[key] * scale:.1f} {unit} | "
                f"{_ratio(anew[key], kept[key])} |"
                for what, key, scale, unit in rows
            ),
            "",
            f"Load of the machine (5 minutes' mean, {os.cpu_count()} cores): {os.getloadavg()[1]:.1f}.",
        ]
    )


def _ratio(one: float, other: float) -> str:
    """Two digits of it; nothing, where there is nothing to divide by."""
    return f"{float(f'{one / other:.2g}'):g}" if one > 0 and other > 0 else ""


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry-run", action="store_true", help="print, but leave the page alone")
    parser.add_argument("--way", choices=get_args(Way), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        json.dump(measured(arguments.way, arguments.deployments), sys.stdout)
        return
    rounds: dict[Way, list[Figures]] = {"anew": [], "kept": []}
    for _ in range(arguments.rounds):
        for way, figures in rounds.items():
            figures.append(in_a_process(way, arguments.deployments))
    found: dict[Way, Figures] = {
        way: {key: median(each[key] for each in figures) for key in figures[0]} for way, figures in rounds.items()
    }
    page = report(arguments.deployments, arguments.rounds, found)
    print(page, flush=True)
    if not arguments.dry_run:
        write_section(PAGE, "scrape", "Scrape", page)


if __name__ == "__main__":
    main()
