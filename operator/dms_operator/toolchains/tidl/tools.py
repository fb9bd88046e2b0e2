"""Finds TI's tools: the unpacked tidl_tools, TI's Python with its onnxruntime, and their release."""

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ...api.errors import ConversionFailed, InvalidSpec, ToolchainUnavailable
from ...api.target_options.tidl import BOARD_RELEASE, TidlOptions
from ...api.target_options.tidl_socs import Soc
from .process import TaskFailed, run_task

TOOLS_VARIABLE = "TIDL_TOOLS_PATH"
PYTHON_VARIABLE = "TIDL_PYTHON"
RELEASE_VARIABLE = "TIDL_TOOLS_RELEASE"
SOC_VARIABLE = "SOC"
PROVIDER = "TIDLCompilationProvider"
SUPPORTED_RELEASES = ("9.0", "11.2")
"""First and last release line whose options and artifacts this module was written for (TI 9.0 to 11.2)."""

_PROBE_SECONDS = 120.0
_NEEDED = ("tidl_model_import_onnx.so", "device_config.cfg", "PC_dsp_test_dl_algo.out")
"""Files of tidl_tools that TI's provider opens by name (edgeai-tidl-tools scripts/setup.sh)."""


@dataclass(frozen=True)
class Tools:
    """TI's tools on this machine."""

    directory: Path
    python: str
    release: str
    """`major.minor`, or empty where nothing tells it."""
    onnxruntime: str

    @property
    def version(self) -> str:
        """For reports."""
        return f"tidl_tools {self.release or 'of unknown release'}, onnxruntime_tidl {self.onnxruntime}"


def find_tools(soc: Soc, workdir: Path) -> Tools:
    """TI's tools for a chip. Raises ToolchainUnavailable, which says what to install, ConverterKilled."""
    directory = os.environ.get(TOOLS_VARIABLE)
    if not directory:
        raise ToolchainUnavailable(
            "TIDL tools are not installed in the converter image: set TIDL_TOOLS_PATH to TI's unpacked tidl_tools",
            hint=f"Build the image from TI's tidl_tools.tar.gz for {soc.name} and TI's onnxruntime_tidl wheel, or ask "
            'for figures alone with the option estimate-only: "true"',
        )
    version = _onnxruntime_version(ti_python(), workdir)
    if absent := [name for name in _NEEDED if not (Path(directory) / name).is_file()]:
        raise ToolchainUnavailable(
            f"TIDL_TOOLS_PATH holds no {', '.join(absent)}", hint="Unpack TI's tidl_tools.tar.gz there, completely"
        )
    _check_chip(soc)
    return Tools(Path(directory), ti_python(), _release(), version)


def ti_python() -> str:
    """The interpreter of TI's wheel (Python 3.10 on x86), else our own: on TI's boards they are the same."""
    return os.environ.get(PYTHON_VARIABLE) or shutil.which("python3.10") or sys.executable


def check_release(tools: Tools, options: TidlOptions) -> None:
    """Hold the tools' release line against what this module knows and what the board runs. Raises ToolchainUnavailable.

    TI: artifacts run only under firmware of the same major.minor release (docs/version_compatibility_table.md).
    """
    first, last = (line_of(bound) for bound in SUPPORTED_RELEASES)
    if tools.release and not _numbers(first) <= _numbers(tools.release) <= _numbers(last):
        raise ToolchainUnavailable(
            f"TIDL tools {tools.release} are not supported", hint=f"Use a release from {first} to {last}"
        )
    if not options[BOARD_RELEASE]:
        return
    board = line_of(options[BOARD_RELEASE])
    if not tools.release:
        raise ToolchainUnavailable(
            f"the release of the TIDL tools is unknown, so it cannot be held against the board's {board}",
            hint=f"Set {RELEASE_VARIABLE} in the converter image, such as 11_02_07_00",
        )
    if tools.release != board:
        raise ToolchainUnavailable(
            f"TIDL tools {tools.release} make artifacts that a board with SDK {board} does not load",
            hint="Use the converter image of the board's release line",
        )


def line_of(release: str) -> str:
    """`11_02_07_00` or `11.2` to the release line `11.2`. Raises InvalidSpec."""
    match = re.match(r"0*(\d+)[._]0*(\d+)", release)
    if not match:
        raise InvalidSpec(f"{release!r} is no TI release", hint="Write major and minor, such as 11.02")
    return f"{match[1]}.{match[2]}"


def _numbers(line: str) -> tuple[int, ...]:
    return tuple(int(part) for part in line.split("."))


def _release() -> str:
    told = os.environ.get(RELEASE_VARIABLE, "")
    return line_of(told) if told else ""


def _onnxruntime_version(python: str, workdir: Path) -> str:
    try:
        with TemporaryDirectory(prefix="probe-", dir=workdir) as scratch:
            job = {"task": "probe"}
            answer = run_task(job, python, Path(scratch), "convert", lambda *_: None, _PROBE_SECONDS)
    except (TaskFailed, ConversionFailed) as failure:
        why = failure.why() if isinstance(failure, TaskFailed) else str(failure)
        raise ToolchainUnavailable(
            f"TIDL_TOOLS_PATH is set, but {python} has no onnxruntime with {PROVIDER} ({why})",
            hint=f"Install TI's onnxruntime_tidl wheel, and set {PYTHON_VARIABLE} to its Python",
        ) from failure
    found = dict(line[1:].split(" ", 1) for line in answer if line.startswith("@"))
    if PROVIDER not in found.get("providers", "").split(","):
        raise ToolchainUnavailable(
            f"TIDL_TOOLS_PATH is set, but the onnxruntime of {python} has no {PROVIDER}",
            hint=f"Install TI's onnxruntime_tidl wheel in the converter image, and set {PYTHON_VARIABLE} to its Python",
        )
    return found["version"]


def _check_chip(soc: Soc) -> None:
    """TI's tools are built for one chip each; the variable SOC of TI's setup says for which."""
    told = os.environ.get(SOC_VARIABLE, soc.variable).lower()
    if told not in (soc.variable, soc.name.lower()):
        raise ToolchainUnavailable(
            f"the TIDL tools in this image are for {told} ({SOC_VARIABLE}), the board carries {soc.variable}",
            hint=f"Use the converter image for {soc.name}",
        )
