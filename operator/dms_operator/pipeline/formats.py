"""Which format a model file has, told by its bytes. Nothing is unpickled, and no model code runs."""

import zipfile
from pathlib import Path
from typing import Literal

from ..api.errors import ModelInvalid
from ..api.stages import ModelFormat
from .untrusted import check_archive

_ZIP = b"PK\x03\x04"
_PICKLE_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_ONNX_IR_VERSION = b"\x08"
"""An ONNX file begins with field 1 (ir_version) as varint; every exporter writes the fields in order."""

_USE = "write torch.export (.pt2), TorchScript (.pt) or ONNX (.onnx)"
_OTHERS = {b"\x89HDF": "an HDF5 (Keras) file", b"<": "an HTML or XML text", b"{": "a JSON text"}


def model_format(path: Path, declared: Literal["auto", "pt2", "torchscript", "onnx"], limit_bytes: int) -> ModelFormat:
    """Tell the format of a model file, and check it against the declared one.

    Raises ModelInvalid, also for an archive that unpacks to more than `limit_bytes`.
    """
    found = _sniffed(path, limit_bytes)
    if declared not in ("auto", found):
        raise ModelInvalid(f"spec.model.format says {declared}, but the file is {found}", hint=f"Write {found} or auto")
    return found


def _sniffed(path: Path, limit_bytes: int) -> ModelFormat:
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise ModelInvalid("the model file is empty", hint="Upload it again")
    if head.startswith(_ZIP):
        return _archive_format(path, limit_bytes)
    if head.startswith(_PICKLE_PROTOCOLS):
        raise _pickle()
    if head.startswith(_ONNX_IR_VERSION):
        return "onnx"
    named = [name for magic, name in _OTHERS.items() if head.startswith(magic)]
    raise ModelInvalid(f"the model file is {named[0] if named else 'of no known format'}", hint=_USE)


def _archive_format(path: Path, limit_bytes: int) -> ModelFormat:
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, "the model archive", ModelInvalid, limit_bytes)
            names = [name.partition("/")[2] or name for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelInvalid(f"the model archive is truncated or damaged ({error})", hint="Upload it again") from error
    if "archive_format" in names or any(name.startswith("models/") for name in names):
        return "pt2"
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return "torchscript"
    if "serialized_exported_program.json" in names:
        raise ModelInvalid(
            "the .pt2 file has the layout of torch 2.7 or older, which is read by unpickling",
            hint="Load it where you trust it, and save it again by torch.export.save of torch 2.8 or newer",
        )
    if "data.pkl" in names:
        raise _pickle()
    raise ModelInvalid("the model file is a zip archive, but holds no model", hint=_USE)


def _pickle() -> ModelInvalid:
    return ModelInvalid(
        "the model file is a Python pickle, which can run code when loaded",
        hint="Export with torch.export.save (.pt2) or torch.jit.save",
    )
