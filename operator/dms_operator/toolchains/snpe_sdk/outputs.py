"""What the SDK's tools print and write, parsed. Every format is a recorded one: tests/toolchains/fixtures/snpe."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...api.errors import ConversionFailed

_THROUGHPUT = re.compile(r"Total throughput: (\d+(?:\.\d+)?) infs/sec")
_SECTION = re.compile(r"Execute Stats \((Average|Min|Max)\):")
_ANY_SECTION = re.compile(r"^\S.*Stats.*:$|^-*\s*\S.*Stats.*:$")
_STATISTIC = re.compile(r"^\s+(?:Backend \()?(.+?)\)?:\s+(\d+) us$")
_DSP = {"D", "A"}
"""Letters of snpe-dlc-info's Runtimes column that mean the HTP: DSP and AIP."""


@dataclass(frozen=True)
class DlcLayer:
    """One layer of a DLC and the letters of the runtimes that take it (A AIP, D DSP, G GPU, C CPU)."""

    name: str
    op_type: str
    runtimes: frozenset[str]

    @property
    def on_htp(self) -> bool:
        """Whether the HTP takes it."""
        return bool(self.runtimes & _DSP)


@dataclass(frozen=True)
class ExecuteStatistics:
    """Microseconds per inference by qnn-profile-viewer: kind (Average, Min, Max) to statistic to value."""

    values: Mapping[str, Mapping[str, int]]

    def microseconds(self, kind: str, statistic: str) -> int:
        """One value. Raises ConversionFailed when the viewer gave none."""
        try:
            return self.values[kind][statistic]
        except KeyError as error:
            raise ConversionFailed(f"qnn-profile-viewer printed no {statistic} under {kind}") from error


@dataclass(frozen=True)
class LayerTime:
    """One row of snpe-diagview's CSV, in the unit that it names."""

    layer: str
    time: int
    unit: str


def parse_dlc_info(lines: Iterable[str]) -> list[DlcLayer]:
    """The layer table of snpe-dlc-info. Raises ConversionFailed when there is none."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines if line.startswith("|")]
    header = next((row for row in rows if row[0] == "Id"), None)
    if header is None or not {"Name", "Type", "Runtimes"} <= set(header):
        raise ConversionFailed("snpe-dlc-info printed no table of layers with their runtimes")
    name, kind, runtimes = (header.index(column) for column in ("Name", "Type", "Runtimes"))
    # a layer's further parameters stand in rows without an id
    layers = [row for row in rows if row[0].isdigit() and len(row) > runtimes]
    return [DlcLayer(row[name], row[kind], frozenset(row[runtimes].split())) for row in layers]


def parse_throughput(lines: Iterable[str]) -> float:
    """Inferences per second of snpe-throughput-net-run. Raises ConversionFailed when it printed none."""
    found = [float(match[1]) for line in lines if (match := _THROUGHPUT.search(line))]
    if not found:
        raise ConversionFailed("snpe-throughput-net-run printed no total throughput")
    return found[-1]


def parse_profile_viewer(lines: Iterable[str]) -> ExecuteStatistics:
    """The execute statistics of qnn-profile-viewer. Raises ConversionFailed when there are none."""
    values: dict[str, dict[str, int]] = {}
    kind: str | None = None
    for line in lines:
        if match := _SECTION.search(line):
            kind = match[1]
        elif _ANY_SECTION.match(line):
            kind = None
        elif kind and (match := _STATISTIC.match(line)):
            values.setdefault(kind, {})[match[1]] = int(match[2])
    if "Average" not in values:
        raise ConversionFailed("qnn-profile-viewer printed no execute statistics")
    return ExecuteStatistics(values)


def parse_diagview(text: str) -> list[LayerTime]:
    """The layers of snpe-diagview's CSV, by its column names. Raises ConversionFailed for another file."""
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise ConversionFailed(f"snpe-diagview wrote no CSV: {error}") from error
    wanted = ("Layer Name", "Time", "Unit of Measurement")
    start = next((place for place, row in enumerate(rows) if set(wanted) <= set(map(str.strip, row))), None)
    if start is None:
        raise ConversionFailed("snpe-diagview wrote no table of layers")
    header = [cell.strip() for cell in rows[start]]
    name, time, unit = (header.index(column) for column in wanted)
    found = [row for row in rows[start + 1 :] if len(row) > max(name, time, unit) and row[time].strip().isdigit()]
    return [LayerTime(row[name].strip(), int(row[time]), row[unit].strip()) for row in found]


def read_results(directory: Path, sample: int, shapes: Mapping[str, Sequence[int]]) -> dict[str, NDArray[Any]]:
    """Outputs of one sample, `Result_<sample>/<output>.raw` in float32. Raises ConversionFailed."""
    found = {}
    for name, shape in shapes.items():
        # the tools write a name's slashes as folders, and put an underscore for other signs
        candidates = (name, re.sub(r"[^A-Za-z0-9_]", "_", name))
        paths = [directory / f"Result_{sample}" / f"{candidate}.raw" for candidate in candidates]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise ConversionFailed(f"the run of sample {sample} wrote no output {name}")
        values = np.fromfile(path, "<f4")
        if values.size != int(np.prod(shape)):
            raise ConversionFailed(f"output {name} has {values.size} values, the model's has {list(shape)}")
        found[name] = values.reshape(shape)
    return found
