"""Parses `get_TI_benchmark_data()`: time stamps in ns and DDR counters in bytes around one run on the board.

Keys and arithmetic: TI edgeai-tidl-tools examples/osrt_python/ort/onnxrt_ep.py and edgeai-benchmark's
`get_tidl_performance`. On a PC the times mean nothing, and the DDR counters are 0.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ...api.errors import ConversionFailed

_PROCESSED = re.compile(r"ts:subgraph_(.+)_proc_start")
_WRAPPED = 1 << 64
"""The counters are unsigned 64-bit."""


@dataclass(frozen=True)
class RunStatistics:
    """One inference. Milliseconds and megabytes (10^6)."""

    total_ms: float
    core_ms: float
    """Without copying inputs and outputs; the same as the total where there is more than one part."""
    subgraph_ms: dict[str, float]
    """Time on the C7x, part by part."""
    ddr_read_mb: float
    ddr_write_mb: float

    @property
    def npu_ms(self) -> float:
        """Time on the C7x over all parts."""
        return sum(self.subgraph_ms.values())


def parse_statistics(data: Mapping[str, int]) -> RunStatistics:
    """Turn one run's counters into times and traffic. Raises ConversionFailed when one is missing."""
    parts = [match[1] for key in data if (match := _PROCESSED.fullmatch(key))]
    if not parts:
        raise ConversionFailed("TI's runtime gave no time of any part: nothing of the model ran on the C7x")
    copied = sum(_span(data, f"ts:subgraph_{part}_copy_{way}") for part in parts for way in ("in", "out"))
    total = _span(data, "ts:run")
    # with several parts the copies overlap with work on the Arm cores, so TI does not take them out
    core = total - copied if len(parts) == 1 else total
    return RunStatistics(
        total_ms=total / 1e6,
        core_ms=core / 1e6,
        subgraph_ms={part: _span(data, f"ts:subgraph_{part}_proc") / 1e6 for part in parts},
        ddr_read_mb=_span(data, "ddr:read") / 1e6,
        ddr_write_mb=_span(data, "ddr:write") / 1e6,
    )


def _span(data: Mapping[str, int], key: str) -> int:
    try:
        return (int(data[f"{key}_end"]) - int(data[f"{key}_start"])) % _WRAPPED
    except KeyError as error:
        raise ConversionFailed(f"TI's runtime gave no {error.args[0]}", hint="Set TIDL_RT_PERFSTATS=1") from error
