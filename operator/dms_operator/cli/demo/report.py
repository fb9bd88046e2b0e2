"""The closing table: variant, provenance, latency, accuracy, size. No figure without its origin."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

Row = tuple[str, str, str, str, str, str]
HEADER: Row = ("variant", "provenance", "p50", "p99 (bound)", "accuracy", "size")


def table(status: dict[str, Any]) -> Table:
    """A deployment's variants and how they performed on each target."""
    result = Table(*HEADER, title=None, pad_edge=False)
    for row in rows(status):
        result.add_row(*row)
    return result


def rows(status: dict[str, Any]) -> Iterator[Row]:
    """Rows of the table, in the order in which the ladder tried the variants."""
    measured = [
        (target["name"], candidate)
        for target in status.get("targets", [])
        for candidate in target.get("candidates", [])
    ]
    for variant in status.get("variants", []):
        candidates = [(name, candidate) for name, candidate in measured if candidate["variant"] == variant["name"]]
        if not candidates:
            yield _reference_row(variant, [candidate for _, candidate in measured])
        for target, candidate in candidates:
            yield from _candidate_rows(variant, target, candidate)


def _reference_row(variant: dict[str, Any], candidates: list[dict[str, Any]]) -> Row:
    """A variant that went to no target: the float reference, timed beside a candidate on the same machine."""
    timed = [candidate.get("benchmark", {}).get("reference") for candidate in candidates]
    latency = next((figures for figures in timed if figures), None)
    accuracy = f"{_accuracy(variant['accuracy'])} (reference)"
    provenance, p50, p99 = (
        ("host", "-", "-") if latency is None else (latency["provenance"], latency["p50"], _p99(latency))
    )
    return (variant["name"], provenance, p50, p99, accuracy, _size(variant["sizeBytes"]))


def _candidate_rows(variant: dict[str, Any], target: str, candidate: dict[str, Any]) -> Iterator[Row]:
    benchmark = candidate.get("benchmark", {})
    for latency in benchmark.get("latencies", []):
        provenance = latency["provenance"]
        on_target = benchmark.get("accuracyOnTarget") if provenance == benchmark.get("accuracyProvenance") else None
        compiled = candidate.get("compiled", {}).get("sizeBytes") if provenance != "host" else variant["sizeBytes"]
        label = f"{variant['name']} on {target}" if provenance != "host" else variant["name"]
        accuracy = _accuracy(on_target or variant["accuracy"])
        yield (label, provenance, latency["p50"], _p99(latency), accuracy, _size(compiled))


def _p99(latency: dict[str, Any]) -> str:
    bound = latency.get("bound")
    shown = latency.get("p99", "")
    return f"{shown} (<= {bound})".strip() if bound else f"{shown} (too few samples for a bound)"


def _accuracy(accuracy: dict[str, Any]) -> str:
    return f"{accuracy['value']:.4f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}] n={accuracy['samples']}"


def _size(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:.2f} MB"
