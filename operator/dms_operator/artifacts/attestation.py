"""What stands beside an artifact: where it came from, what it is made of, and the signature over all of that."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..api.base import Model, canonical_json

FOLDER = "attestation"
"""Folder beside an artifact's files in a signed tree."""
PROVENANCE = "provenance.json"
"""An in-toto Statement v1 with SLSA provenance v1."""
SBOM = "sbom.cdx.json"
"""A CycloneDX bill of materials."""


class Attestation(Model):
    """The documents beside one artifact."""

    provenance: dict[str, Any]
    sbom: dict[str, Any]
    signature: dict[str, Any] | None = None
    """A sigstore bundle of OpenSSF model-signing over the artifact's files and both documents."""


def lay_out(files: Mapping[str, Path], attestation: Attestation, directory: Path) -> Path:
    """The tree that is signed: the artifact's files, and the documents in a folder beside them."""
    (directory / FOLDER).mkdir(parents=True)
    for name, path in files.items():
        _link(path, directory / name)
    (directory / FOLDER / PROVENANCE).write_bytes(canonical_json(attestation.provenance))
    (directory / FOLDER / SBOM).write_bytes(canonical_json(attestation.sbom))
    return directory


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
