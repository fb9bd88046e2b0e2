"""The section of docs/performance.md that `bench_operator.py` writes."""

from __future__ import annotations

import statistics
from typing import Any

AIM_TIMES, AIM_MEGABYTES = 1.5, 150  # issue 7
Costs = dict[str, Any]
_OURS = "on a dev cluster whose stages end at once"
_FOREIGN = "on the cluster of KUBECONFIG, where a pod ends as soon as it is there and its Job a moment later"


def report(count: int, jobs: int, statuses: int, rounds: list[tuple[Costs, Costs]], *, is_foreign: bool = False) -> str:
    """The round of the median ratio, as tables; each round holds the bare client's costs and the operator's.

    The bare client makes so many Jobs and status writes per deployment; `is_foreign`: on a cluster that is not ours.
    """
    plain, ours = sorted(rounds, key=_ratio)[(len(rounds) - 1) // 2]
    return "\n".join(
        [
            f"{count} deployments at once, {jobs} Jobs each, {_FOREIGN if is_foreign else _OURS}; the bare client "
            f"makes them and {statuses} status writes each, 50 in flight, and nothing else. "
            f"`python benchmarks/bench_operator.py --deployments {count} --rounds {len(rounds)}`.",
            "",
            "| | bare client | operator | ratio |",
            "|---|---|---|---|",
            *_sides(plain, ours),
            _status_writes(statuses, _requests(count, ours)),
            "",
            "| operator | |",
            "|---|---|",
            *(f"| {what} | {value} |" for what, value in _facts(count, ours)),
            "",
            f"Aims: total time at most {AIM_TIMES} of the bare client, at most {AIM_MEGABYTES} MB with 1,000 "
            "deployments, no write when idle.",
            "",
            f"Ratios of total time, by round: {', '.join(f'{_ratio(each):.2f}' for each in rounds)}. "
            f"Load of the machine (5 minutes' mean, 2 cores), bare client and operator: {plain['load']:.1f}, "
            f"{ours['load']:.1f}; above 3 or so, times say little and CPU says more.",
        ]
    )


def _status_writes(plain: int, ours: dict[str, float]) -> str:
    written = sum(number for what, number in ours.items() if what.startswith("PATCH"))
    return f"| status writes per deployment | {plain} | {written:.2f} | {written / plain:.2f} |"


def _requests(count: int, ours: Costs) -> dict[str, float]:
    """Per deployment, by verb and code."""
    return {what: number / count for what, number in sorted(ours["requests"].items())}


def _ratio(costs: tuple[Costs, Costs]) -> float:
    return float(costs[1]["total"] / costs[0]["total"])


def _sides(plain: Costs, ours: Costs) -> list[str]:
    rows = [
        ("total time", "total", "s"),
        ("client CPU", "cpu", "s"),
        ("API server's CPU", "server", "s"),
        ("peak memory (RSS)", "peakMegabytes", "MB"),
    ]
    shown = [row for row in rows if plain.get(row[1]) and ours.get(row[1])]
    return [
        f"| {what} | {plain[key]:.1f} {unit} | {ours[key]:.1f} {unit} | {ours[key] / plain[key]:.2f} |"
        for what, key, unit in shown
    ]


def _facts(count: int, ours: Costs) -> list[tuple[str, str]]:
    requests = _requests(count, ours)
    scrape = "{:.0f} ms CPU, {:.0f} kB".format(*ours["scrape"])
    return [
        ("memory without deployments, with all of them", f"{ours['emptyMegabytes']:.0f}, {ours['megabytes']:.0f} MB"),
        ("from a Job's end to the next Job, p50, p99, all at once", _percentiles(ours["reactions"])),
        ("the same, one deployment after another", _percentiles(ours["calmReactions"])),
        ("until the last event was posted", f"{ours['told']:.1f} s"),
        (f"idle for {ours['idle']:.0f} s", f"{ours['idleWrites']} writes, {ours['idleCpu'] * 100:.1f} % of a core"),
        (
            "restart until every deployment was looked at",
            f"{ours['restart']:.1f} s, {ours['restartWrites']} writes, {ours['restartCpu']:.1f} s CPU, "
            f"{ours['restartMegabytes']:.0f} MB at most",
        ),
        ("a scrape of /metrics", scrape),
        ("requests per deployment", ", ".join(f"{what}: {number:.2f}" for what, number in requests.items())),
    ]


def _percentiles(seconds: list[float]) -> str:
    percent = [statistics.quantiles(seconds, n=100)[place] for place in (49, 98)]
    return f"{percent[0] * 1e3:.0f}, {percent[1] * 1e3:.0f} ms"
