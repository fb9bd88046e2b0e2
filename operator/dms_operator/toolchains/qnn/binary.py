"""Which SoC a context binary is bound to, and the refusal of one bound to another.

The SoC comes from libQnnSystem's documented interface (QnnSystemInterface.h, QnnSystemContext.h of QAIRT 2.51).
Binary info carries no Hexagon architecture, so that is read from the build record that the compiler leaves in
clear text (`soc_type=SA8255;arch=73;...;vtcm_size=8388608`).
"""

import ctypes
import mmap
import re
from ctypes import POINTER, Structure, byref, c_char_p, c_uint32, c_uint64, c_void_p, cast
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...api.errors import ConversionFailed, WrongTarget
from ...api.target_options.qnn_socs import Soc, soc_title
from .provider import library

T = TypeVar("T")

_BINARY_INFO_V3 = 3
_RECORD = re.compile(rb"soc_type=([A-Z0-9]+);arch=(\d+);")
_VTCM = re.compile(rb"vtcm_size=(\d+)")


class _Version(Structure):
    _fields_ = [("major", c_uint32), ("minor", c_uint32), ("patch", c_uint32)]


class _Interface(Structure):
    _fields_ = [
        ("backend_id", c_uint32),
        ("provider_name", c_char_p),
        ("version", _Version),
        ("context_create", c_void_p),
        ("context_get_binary_info", c_void_p),
        ("context_get_metadata", c_void_p),
        ("context_free", c_void_p),
    ]


class _BinaryInfoV3(Structure):
    _fields_ = [
        ("backend_id", c_uint32),
        ("build_id", c_char_p),
        ("core_api_version", _Version),
        ("backend_api_version", _Version),
        ("soc_version", c_char_p),
        ("blob_version", _Version),
        ("blob_size", c_uint64),
        ("tensor_count", c_uint32),
        ("tensors", c_void_p),
        ("graph_count", c_uint32),
        ("graphs", c_void_p),
        ("platform_info", c_void_p),
        ("metadata_size", c_uint32),
        ("metadata", c_void_p),
        ("soc_model", c_uint32),
    ]


class _BinaryInfo(Structure):
    _fields_ = [("version", c_uint32), ("v3", _BinaryInfoV3)]


@dataclass(frozen=True)
class BinaryTarget:
    """What a context binary says about itself."""

    soc_model: int
    architecture: int | None
    sdk: str
    """QAIRT build that made it, such as `v2.51.0.260929181845`."""
    graphs: int
    soc_name: str | None = None
    """The compiler's own name of the SoC, such as `SA8255`."""
    vtcm_bytes: int | None = None


def read_target(binary: Path) -> BinaryTarget:
    """Read the binding of a context binary. Raises ConversionFailed when QNN cannot read it."""
    data = binary.read_bytes()
    info = _binary_info(data)
    record = read_record(binary)
    return BinaryTarget(info.soc_model, record.architecture, info.sdk, info.graphs, record.soc_name, record.vtcm)


def check_target(target: BinaryTarget, soc: Soc) -> None:
    """Refuse a binary for another SoC or architecture, or with more scratch memory. Raises WrongTarget."""
    if target.soc_model != soc.model:
        raise WrongTarget(
            f"the context binary is bound to {soc_title(target.soc_model)}, wanted {soc_title(soc.model)}"
        )
    if target.architecture != soc.architecture:
        found = "no architecture" if target.architecture is None else f"v{target.architecture}"
        raise WrongTarget(f"the context binary is bound to {found}, wanted v{soc.architecture} ({soc.name})")
    if target.vtcm_bytes is not None and target.vtcm_bytes > soc.vtcm_mb << 20:
        raise WrongTarget(f"the context binary wants {target.vtcm_bytes >> 20} MiB VTCM, {soc.name} has {soc.vtcm_mb}")


@dataclass(frozen=True)
class _Info:
    soc_model: int
    sdk: str
    graphs: int


def _binary_info(data: bytes) -> _Info:
    system = ctypes.CDLL(str(library("QnnSystem")))
    interface = _interface(system)
    create = ctypes.CFUNCTYPE(c_uint64, POINTER(c_void_p))(interface.context_create)
    read = ctypes.CFUNCTYPE(c_uint64, c_void_p, c_char_p, c_uint64, POINTER(c_void_p))(interface.context_get_metadata)
    free = ctypes.CFUNCTYPE(c_uint64, c_void_p)(interface.context_free)
    handle, found = c_void_p(), c_void_p()
    _succeed(create(byref(handle)))
    try:
        _succeed(read(handle, data, len(data), byref(found)))
        info = cast(found, POINTER(_BinaryInfo)).contents
        if info.version != _BINARY_INFO_V3:
            raise ConversionFailed(f"the context binary has info version {info.version}, known is {_BINARY_INFO_V3}")
        return _Info(info.v3.soc_model, (info.v3.build_id or b"").decode(), info.v3.graph_count)
    finally:
        free(handle)


def _interface(system: ctypes.CDLL) -> _Interface:
    providers, count = POINTER(POINTER(_Interface))(), c_uint32()
    get_providers = system.QnnSystemInterface_getProviders
    get_providers.restype = c_uint64
    _succeed(get_providers(byref(providers), byref(count)))
    found: _Interface = providers[0].contents
    return found


def _succeed(status: int) -> None:
    if status != 0:
        raise ConversionFailed(f"libQnnSystem cannot read the context binary (QNN error {status})")


@dataclass(frozen=True)
class BuildRecord:
    """What a context binary's build records agree on; None where there is none or they differ."""

    soc_name: str | None
    architecture: int | None
    vtcm: int | None


def read_record(binary: Path) -> BuildRecord:
    """Read the records that the compiler leaves in clear text; needs no library of Qualcomm's."""
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = [(match[1].decode(), int(match[2])) for match in _RECORD.finditer(content)]
        sizes = {int(match[1]) for match in _VTCM.finditer(content)}
    names, architectures = {name for name, _ in found}, {architecture for _, architecture in found}
    return BuildRecord(_only(names), _only(architectures), _only(sizes))


def _only(values: set[T]) -> T | None:
    return next(iter(values)) if len(values) == 1 else None
