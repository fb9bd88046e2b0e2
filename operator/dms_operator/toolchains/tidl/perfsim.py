"""Reads TI's performance simulator: its CSV (time, DDR traffic) and the import's netLog (multiply-accumulates).

Row texts: TI edgeai-benchmark `basert_session.py`. A vendor's cost model, hence `simulated`.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...api.errors import ConversionFailed
from ...api.quantities import Duration
from ...api.stages import LatencyFacts
from ...api.target_options.tidl_socs import Soc

_TIME = re.compile(r"Total Network Time \(us\)\s*=\s*([0-9]+(?:\.[0-9]+)?)", re.IGNORECASE)
_TRAFFIC = re.compile(r"DDR BW \(Mega Bytes\) : Total\s*=\s*([0-9]+(?:\.[0-9]+)?)", re.IGNORECASE)
_MACS = re.compile(r"Total Giga Macs\s*:\s*([0-9]+(?:\.[0-9]+)?)\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class PartCost:
    """What the simulator says of one part of the model."""

    seconds: float
    ddr_bytes: float


def parse_perfsim(text: str) -> PartCost:
    """Read one CSV. Raises ConversionFailed when it holds no network time."""
    cells = [row[0] for row in csv.reader(text.splitlines()) if row]
    time = next((match for cell in cells if (match := _TIME.search(cell))), None)
    traffic = next((match for cell in cells if (match := _TRAFFIC.search(cell))), None)
    if time is None:
        raise ConversionFailed('the performance simulator\'s CSV has no row "Total Network Time (us)"')
    return PartCost(float(time[1]) / 1e6, float(traffic[1]) * 1e6 if traffic else 0.0)


def parse_macs(log: str) -> float | None:
    """Multiply-accumulates from a netLog; None when it names none."""
    found = _MACS.findall(log)
    return float(found[-1]) * 1e9 if found else None


def read_costs(directory: Path) -> list[PartCost]:
    """The parts' costs from a compiled directory; files of other kinds are left alone."""
    return [parse_perfsim(path.read_text(errors="replace")) for path in sorted(directory.glob("*.csv"))]


def simulated_latency(costs: Iterable[PartCost], soc: Soc, parts: int, left_on_cpu: int) -> LatencyFacts | None:
    """The simulator's latency, or None unless it priced every part and nothing is left to the Arm cores."""
    known = list(costs)
    if len(known) != parts or left_on_cpu:
        return None
    total = sum(cost.seconds for cost in known)
    traffic = sum(cost.ddr_bytes for cost in known) / 1e6
    return LatencyFacts(
        provenance="simulated",
        p50=Duration.of_seconds(total),
        bound=Duration.of_seconds(total),
        source=f"TIDL performance simulator for {soc.title}",
        notes=f"{traffic:.2f} MB of DDR traffic",
    )
