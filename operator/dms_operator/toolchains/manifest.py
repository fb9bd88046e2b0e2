"""The manifest of a compiled artifact: how it was made, for audit and for the benchmark stage."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..api.errors import ConversionFailed
from ..api.stages import CompiledFacts

MANIFEST = "manifest.json"


def write_manifest(
    directory: Path,
    facts: CompiledFacts,
    model: Path,
    board: str,
    options: Mapping[str, str],
    files: Mapping[str, Path],
    **details: Any,
) -> Path:
    """Write manifest.json: the facts, the source model's digest, options, and every file's digest and size."""
    document = {
        "board": board,
        "compiled": facts.to_wire(),
        "options": dict(options),
        "source": _identity(model),
        "files": {name: _identity(path) for name, path in sorted(files.items())},
        **details,
    }
    path = directory / MANIFEST
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    return path


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read a compiled directory's manifest. Raises ConversionFailed when it is missing or not JSON."""
    return read_report(directory, MANIFEST)


def read_report(directory: Path, name: str) -> dict[str, Any]:
    """Read one JSON object of a compiled directory. Raises ConversionFailed when it is missing or not JSON."""
    try:
        document = json.loads((directory / name).read_text())
    except (OSError, ValueError) as error:
        raise ConversionFailed(f"the compiled artifact has no readable {name}: {error}") from error
    if not isinstance(document, dict):
        raise ConversionFailed(f"the compiled artifact's {name} is not a JSON object")
    return document


def _identity(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"digest": f"sha256:{digest}", "sizeBytes": path.stat().st_size}
