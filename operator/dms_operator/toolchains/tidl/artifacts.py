"""What TI's import wrote: collected, checked for completeness, and read for what runs where.

File names and formats: TI edgeai-tidl-tools docs/model_compilation.md; `allowedNode.txt` as TI's provider writes it
(number of parts, then for each part its size and the numbers of its nodes, one number per line).
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ...api.errors import ConversionFailed, StoreFull

ALLOWED = "allowedNode.txt"
METADATA = "onnxrtMetaData.txt"
_NET, _IO = "_tidl_net.bin", "_tidl_io_1.bin"
_INFORMATION = ("*.svg", "*.layer_info.txt", "*netLog.txt", "*.html")
_STORABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SCARCE_BYTES = 1_000_000


@dataclass(frozen=True)
class Offload:
    """Which nodes of the file the C7x runs, part by part; `nodes` is how many the graph had for TI's provider."""

    parts: tuple[frozenset[int], ...]
    nodes: int | None

    @property
    def offloaded(self) -> frozenset[int]:
        """Numbers of all nodes on the C7x."""
        return frozenset().union(*self.parts)


def collect(folder: Path, target: Path) -> dict[str, Path]:
    """Move the files that a board needs, and those that explain them, from TI's folder to `target`, all or none.

    Raises ConversionFailed when something is missing or empty, StoreFull when the disk is why.
    """
    needed = [path for path in sorted(folder.iterdir()) if path.is_file()]
    _check_complete(folder, needed)
    temporary = folder / "tempDir"
    explaining = [path for pattern in _INFORMATION for path in sorted(temporary.glob(pattern)) if path.stat().st_size]
    explaining += sorted(temporary.glob("**/*.csv"))
    # some of TI's names come from tensors; files that only explain are left behind when a store cannot name them
    explaining = [path for path in explaining if _STORABLE.fullmatch(path.name)]
    found = {path.name: path for path in (*explaining, *needed)}
    return {name: Path(shutil.move(path, target / name)) for name, path in found.items()}


def read_offload(allowed: str, metadata: str = "") -> Offload:
    """Parse allowedNode.txt, and the number of nodes from onnxrtMetaData.txt. Raises ConversionFailed."""
    try:
        numbers = [int(line) for line in allowed.split()]
        parts, at = [], 1
        for _ in range(numbers[0]):
            size = numbers[at]
            parts.append(frozenset(numbers[at + 1 : at + 1 + size]))
            at += 1 + size
    except (ValueError, IndexError) as error:
        raise ConversionFailed(f"{ALLOWED} is damaged", hint="Convert again") from error
    if at != len(numbers) or any(not part for part in parts):
        raise ConversionFailed(f"{ALLOWED} is damaged: it names {numbers[0]} parts", hint="Convert again")
    counted = re.search(r"^numGraphNodes=(\d+)$", metadata, re.MULTILINE)
    return Offload(tuple(parts), int(counted[1]) if counted else None)


def _check_complete(folder: Path, files: list[Path]) -> None:
    names = {path.name for path in files}
    nets = {name.removesuffix(_NET) for name in names if name.endswith(_NET)}
    ios = {name.removesuffix(_IO) for name in names if name.endswith(_IO)}
    empty = sorted(path.name for path in files if not path.stat().st_size)
    absent = [f"{name}{_NET}" for name in sorted(ios - nets)] + [f"{name}{_IO}" for name in sorted(nets - ios)]
    absent += [] if ALLOWED in names else [ALLOWED]
    if not nets and not ios:
        absent.append(f"*{_NET}")
    if not (absent or empty):
        _check_parts(folder, len(nets))
        return
    if shutil.disk_usage(folder).free < _SCARCE_BYTES:
        raise StoreFull("no space is left in the pod's scratch space for TIDL's artifacts")
    told = [f"no {', '.join(absent)}"] if absent else []
    told += [f"an empty {', '.join(empty)}"] if empty else []
    raise ConversionFailed(f"the TIDL import reported success, but left {' and '.join(told)}", hint="Convert again")


def _check_parts(folder: Path, nets: int) -> None:
    parts = len(read_offload((folder / ALLOWED).read_text()).parts)
    if parts != nets:
        raise ConversionFailed(
            f"{ALLOWED} names {parts} parts, but there are {nets} compiled ones",
            hint="A part failed in the import: convert with debug-level 1 and read the log",
        )
