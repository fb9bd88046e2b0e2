"""Finds prometheus and promtool: on the path, else Debian's package, unpacked into a folder of ours without root."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "prometheus"
_PACKAGE = "prometheus"


def program(name: str, directory: Path = CACHE) -> Path:
    """Path of `prometheus` or `promtool`; downloads the package the first time. Raises CalledProcessError."""
    if found := shutil.which(name):
        return Path(found)
    unpacked = directory / "usr" / "bin" / name
    if not unpacked.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
            _unpack(Path(scratch))
            if not directory.exists():  # another test process may have been faster
                (Path(scratch) / "root").rename(directory)
    return unpacked


def _unpack(scratch: Path) -> None:
    """Lists and package go into `scratch`, so that the system's own stay as they are."""
    state = scratch / "state"
    (state / "lists" / "partial").mkdir(parents=True)
    (scratch / "cache" / "archives" / "partial").mkdir(parents=True)
    # apt looks for installed packages in a status file; dpkg's own is readable by everybody
    options = [f"Dir::State={state}", f"Dir::Cache={scratch / 'cache'}", "Dir::State::status=/var/lib/dpkg/status"]
    apt = ["apt-get", "-qq", *(f"-o{option}" for option in (*options, "APT::Sandbox::User="))]
    subprocess.run([*apt, "update"], check=True, cwd=scratch)
    subprocess.run([*apt, "download", _PACKAGE], check=True, cwd=scratch)
    [archive] = scratch.glob("*.deb")
    subprocess.run(["dpkg", "-x", archive, scratch / "root"], check=True)


if __name__ == "__main__":
    print(program("promtool"))
