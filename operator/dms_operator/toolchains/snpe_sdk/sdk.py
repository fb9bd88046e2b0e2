"""Finds the mounted SDK, reads its version, and tells which of its two tool generations it offers."""

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from ...api.errors import ToolchainUnavailable

Generation = Literal["qairt", "snpe"]

VARIABLES = ("QAIRT_SDK_ROOT", "QNN_SDK_ROOT", "SNPE_ROOT")
"""Qualcomm's own variables for the unpacked SDK, `qairt/<version>`; the first that is set counts."""
HOST = "x86_64-linux-clang"
"""Converters and quantizers run on x86-64 Linux alone."""
OLDEST = (2, 22)
"""First release whose documentation has the flags that `argv` writes (80-63442-2)."""

_GENERATIONS: dict[Generation, tuple[str, ...]] = {
    "qairt": ("qairt-converter", "qairt-quantizer", "qnn-context-binary-generator"),
    "snpe": ("snpe-onnx-to-dlc", "snpe-dlc-quant", "snpe-dlc-graph-prepare", "snpe-dlc-info"),
}
_INSTEAD = {"snpe-dlc-quant": "snpe-dlc-quantize"}
"""The newer name of a tool, and the tool of the same flags that older SDKs have in its place."""
_VERSION = re.compile(r"(\d+)\.(\d+)\.\d+(?:\.\d+)?")
_ELSEWHERE = "Toolchain qnn compiles for the same boards and needs no SDK"


@dataclass(frozen=True)
class Sdk:
    """An SDK that this machine can run; `generations` are complete, the preferred one first."""

    root: Path
    version: str
    generations: tuple[Generation, ...]

    def tool(self, name: str) -> Path:
        """Path of a host tool. Raises ToolchainUnavailable when the SDK lacks it."""
        path = self.root / "bin" / HOST / name
        if not path.is_file():
            raise ToolchainUnavailable(f"the SDK {self.version} has no {name}", hint="Mount the complete SDK")
        return path

    def present(self, name: str) -> str:
        """The name under which the SDK has a tool: its own, or that of the one in its place."""
        return name if _has(self.root / "bin" / HOST, name, exactly=True) else _INSTEAD.get(name, name)

    def library(self, name: str) -> Path:
        """Path of a host library, such as `libQnnHtp.so`. Raises ToolchainUnavailable when the SDK lacks it."""
        path = self.root / "lib" / HOST / name
        if not path.is_file():
            raise ToolchainUnavailable(f"the SDK {self.version} has no {name}", hint="Mount the complete SDK")
        return path


def find_sdk(environment: Mapping[str, str] = os.environ) -> Sdk:
    """The SDK that the environment names. Raises ToolchainUnavailable with what is missing."""
    root = _root(environment)
    if platform.machine() != "x86_64":
        raise ToolchainUnavailable(f"the SDK's converters run on x86-64 alone, this is {platform.machine()}")
    version = _version(root)
    tools = root / "bin" / HOST
    if not tools.is_dir():
        raise ToolchainUnavailable(
            f"the SDK {version} in {root} has no host tools (bin/{HOST})",
            hint="Mount the complete SDK, not the target libraries alone",
        )
    found = tuple(name for name, needed in _GENERATIONS.items() if all(_has(tools, tool) for tool in needed))
    if not found:
        missing = [tool for tool in _GENERATIONS["qairt"] if not (tools / tool).is_file()]
        raise ToolchainUnavailable(
            f"the SDK {version} lacks {', '.join(missing)}, and its SNPE tools are not complete either",
            hint="Mount the complete SDK",
        )
    return Sdk(root, version, found)


def _has(tools: Path, name: str, *, exactly: bool = False) -> bool:
    names = {name} if exactly else {name, _INSTEAD.get(name, name)}
    return any((tools / each).is_file() for each in names)


def _root(environment: Mapping[str, str]) -> Path:
    named = next((name for name in VARIABLES if environment.get(name)), None)
    if named is None:
        raise ToolchainUnavailable(
            f"the QAIRT/SNPE SDK is not installed in the converter image: set one of {', '.join(VARIABLES)}",
            hint=_ELSEWHERE,
        )
    root = Path(environment[named])
    if not root.is_dir():
        raise ToolchainUnavailable(f"{named} names {root}, which is no directory", hint=_ELSEWHERE)
    if ":" in str(root):
        # the loader's search paths are lists separated by colons
        raise ToolchainUnavailable(f"{named} names {root}, which holds a colon", hint="Mount the SDK elsewhere")
    return root.resolve()


def _version(root: Path) -> str:
    """From sdk.yaml, or from the directory's name (`qairt/2.31.0.250130`)."""
    text = _declared(root / "sdk.yaml") or root.name
    match = _VERSION.search(text)
    if match is None:
        raise ToolchainUnavailable(f"the SDK in {root} tells no version: no sdk.yaml that names one")
    if int(match[1]) != OLDEST[0] or int(match[2]) < OLDEST[1]:
        oldest = ".".join(map(str, OLDEST))
        raise ToolchainUnavailable(
            f"the SDK in {root} has version {match[0]}, which is not supported",
            hint=f"Mount QAIRT {oldest} or newer, of release 2",
        )
    return match[0]


def _declared(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ToolchainUnavailable(f"{path} cannot be read: {error}") from error
    return str(document.get("version", "")) if isinstance(document, dict) else ""
