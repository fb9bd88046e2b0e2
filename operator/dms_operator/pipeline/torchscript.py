"""Look through the code of a TorchScript archive before torch runs it: tensor arithmetic alone may be called."""

import re
import zipfile
from pathlib import Path

from ..api.errors import ModelInvalid
from .untrusted import reading

_OPERATORS = re.compile(rb"\bops\s*\.\s*(\w+)")
_PLAIN = {b"aten", b"prim", b"prims"}
"""Namespaces of operators; others reach processes, networks and compiled libraries."""
_TOUCHES_FILES = re.compile(rb"\b(from_file|save|load_tensor|rpc_\w+|profiler)\b")
"""As words, wherever they stand: the language lets one name be written in many ways."""
_NATIVE_CLASSES = re.compile(rb"\btorch\s*\.\s*classes\b")


def check_torchscript(source: Path) -> None:
    """Raise ModelInvalid for code that opens files, or calls anything but plain tensor operators."""
    with reading("the TorchScript archive", ModelInvalid, "Save it again"), zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                _check_code(archive.read(name))
            elif name.endswith(".pkl") and _NATIVE_CLASSES.search(archive.read(name)):
                raise _refusal("an object of native code")


def _check_code(code: bytes) -> None:
    # a backslash could break a line in the middle of a name's path
    if found := _TOUCHES_FILES.search(code):
        raise _refusal(found.group().decode())
    if others := set(_OPERATORS.findall(code)) - _PLAIN:
        raise _refusal(f"ops.{sorted(others)[0].decode(errors='replace')}")
    if _NATIVE_CLASSES.search(code):
        raise _refusal("torch.classes")


def _refusal(what: str) -> ModelInvalid:
    return ModelInvalid(
        f"the TorchScript code uses {what}, which is no tensor arithmetic",
        hint="Rename or remove it, or give .pt2 or ONNX",
    )
