"""Load a `.pt2` (torch.export) archive from an untrusted source without running anything that it says.

`torch.export.load` of torch 2.13 is not safe by itself. It unpickles sample inputs (first with weights_only, then,
when that fails, without), pickled weights and custom objects; loads compiled libraries (data/aotinductor); evaluates
shape expressions with sympy and guards with exec; looks operators up by any dotted path below `torch` (torch.load,
torch.os.system); and writes node names into generated Python source.
So the archive is taken apart here with zipfile and json alone. Only raw tensors and a graph of `aten` operators on
static shapes with plain names are copied into a new archive; sample inputs, guards and metadata are left out.
torch gets to see the new archive only.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

from ..api.errors import ModelInvalid
from .pt2_program import check_program
from .untrusted import reading

_PROGRAM = "models/model.json"
_SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_PAYLOADS = {"data/weights/": "weight_", "data/constants/": "tensor_"}
_NOT_MODEL = ("data/aotinductor/", "data/executorch/")
_EXPORT_AGAIN = "export plain tensors and modules with torch.export.save"


def rewrite_safely(source: Path, target: Path) -> None:
    """Write the safe parts of the archive `source`, whose size is checked (formats.py), as a new archive `target`.

    Raises ModelInvalid, and ModelShapeMismatch for dynamic axes.
    """
    with reading("the .pt2 archive", ModelInvalid, "Save it again"), zipfile.ZipFile(source) as archive:
        members = _members(archive)
        program = _json(archive, members, _PROGRAM)
        check_program(program)
        configs = {folder: _raw_tensors(archive, members, folder, prefix) for folder, prefix in _PAYLOADS.items()}
        # only now: what is refused needs no torch
        from torch.export.pt2_archive._package import PT2ArchiveWriter

        with PT2ArchiveWriter(str(target)) as writer:
            writer.write_string(_PROGRAM, json.dumps(program))
            writer.write_bytes(_SAMPLE_INPUTS, b"")
            for folder, config in configs.items():
                writer.write_string(_config_name(folder), json.dumps(config))
                for path in sorted({payload["path_name"] for payload in config["config"].values()}):
                    writer.write_bytes(folder + path, archive.read(members[folder + path]))


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Members by their name without the archive's top folder."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.partition("/")[2]
        if name in members:
            raise ModelInvalid(f"the .pt2 archive holds {name} twice", hint="Save it again")
        members[name] = info
    if any(name.startswith(_NOT_MODEL) for name in members):
        raise ModelInvalid("the .pt2 archive holds compiled native code, which is never loaded", hint=_EXPORT_AGAIN)
    if [name for name in members if name.startswith("models/")] != [_PROGRAM]:
        raise ModelInvalid("the .pt2 archive does not hold exactly one program named 'model'", hint=_EXPORT_AGAIN)
    return members


def _json(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> dict[str, Any]:
    if name not in members:
        raise ModelInvalid(f"the .pt2 archive lacks {name}", hint="Save it by torch.export.save of torch 2.9 or newer")
    value = json.loads(archive.read(members[name]))
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")
    return value


def _config_name(folder: str) -> str:
    return f"{folder}model_{folder.split('/')[1]}_config.json"


def _raw_tensors(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: str, prefix: str
) -> dict[str, Any]:
    """What a folder says of its tensors; what would be unpickled is refused."""
    config = _json(archive, members, _config_name(folder))
    for name, payload in config["config"].items():
        # `is False`: an absent or odd value must not slip through
        if payload["use_pickle"] is not False or not payload["path_name"].removeprefix(prefix).isdecimal():
            raise ModelInvalid(
                f"the .pt2 archive stores {name!r} as a Python pickle, which can run code when loaded",
                hint=_EXPORT_AGAIN,
            )
    return config
