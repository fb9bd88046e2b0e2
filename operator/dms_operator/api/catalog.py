"""The board catalog, read from `boards.toml`: data that admission, planner, toolchains and `dms boards` share."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Generic, Literal, TypeVar, get_args

Precision = Literal["fp32", "fp16", "int8", "int4"]
ToolchainName = Literal["qnn", "snpe-sdk", "tidl", "onnxruntime"]

FILE = "boards.toml"

V = TypeVar("V")


@dataclass(frozen=True)
class Fact(Generic[V]):
    """A public figure, and who states it."""

    value: V
    source: str


@dataclass(frozen=True)
class QnnChip:
    """How Qualcomm's compiler knows a chip: QNN's id, Hexagon architecture number, HTP scratch memory in MiB."""

    name: str
    """As the compiler writes it into a context binary."""
    model: int
    architecture: int
    vtcm_mb: int
    fp16: bool = True
    """Whether its HTP computes floating point; without, only quantized graphs compile."""

    @property
    def title(self) -> str:
        """Short form such as `SA8255 v73`."""
        return f"{self.name} v{self.architecture}"


@dataclass(frozen=True)
class Board:
    """A board type; `toolchains[0]` is the default. A fact that is None is not publicly known."""

    name: str
    title: str
    soc: str
    """The chip; empty for a plain node."""
    machine: str
    """What `uname -m` says on it."""
    toolchains: tuple[ToolchainName, ...]
    qnn: QnnChip | None = None
    tops: Fact[int] | None = None
    """Dense 8-bit operations, 10^12 per second, as advertised."""
    memory_gb: Fact[int] | None = None
    """DRAM of the evaluation board."""
    sensors: Fact[tuple[str, ...]] | None = None
    """Documented power monitors; what a board has is found at run time."""
    price_class: Fact[str] | None = None


def parse_catalog(text: str) -> tuple[dict[str, QnnChip], dict[str, Board]]:
    """Chips that QNN compiles for, and boards, by name. Raises ValueError for a row that does not hold together."""
    document = tomllib.loads(text)
    chips: Mapping[str, Any] = document["socs"]
    qnn = {name: QnnChip(name, **row["qnn"]) for name, row in chips.items() if "qnn" in row}
    return qnn, {name: _board(name, row, chips, qnn) for name, row in document["boards"].items()}


def _board(name: str, row: Mapping[str, Any], chips: Mapping[str, Any], qnn: Mapping[str, QnnChip]) -> Board:
    if row["soc"] and row["soc"] not in chips:
        raise ValueError(f"board {name} carries {row['soc']}, which is not among socs")
    unknown = [each for each in row["toolchains"] if each not in get_args(ToolchainName)]
    if unknown or not row["toolchains"]:
        raise ValueError(f"board {name} needs toolchains of {', '.join(get_args(ToolchainName))}, not {unknown}")
    facts = {key: _fact(name, key, value) for key, value in row.items() if isinstance(value, dict)}
    plain = {key: value for key, value in row.items() if key not in facts}
    return Board(**plain | facts | {"name": name, "toolchains": tuple(row["toolchains"]), "qnn": qnn.get(row["soc"])})


def _fact(board: str, key: str, row: Mapping[str, Any]) -> Fact[Any]:
    value, source = row.get("value"), row.get("source")
    if not value or not source or len(row) != 2:
        raise ValueError(f"{key} of board {board} needs a value and its source")
    return Fact(tuple(value) if isinstance(value, list) else value, source)


QNN_CHIPS, BOARDS = parse_catalog(resources.files(__package__).joinpath(FILE).read_text("utf-8"))
