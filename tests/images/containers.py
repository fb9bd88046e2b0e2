"""Runs the images as a strict cluster would: no root, no capability, nothing writable but /tmp and the volumes."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from images.build import wanted
from images.catalog import REPOSITORY, images

TAG = "test"
"""What `make test-images` builds."""
STRICT = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges")
USER = 65532
PYTHON = "/opt/dms/bin/python"
"""The interpreter in every image."""


def reference(name: str) -> str:
    """Full name of an image as `make test-images` built it."""
    return "localhost/" + wanted({"TAG": TAG}, "").reference(images()[name])


def podman(*arguments: str, stdin: str | None = None, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run podman, whatever comes out; the time limit is in seconds."""
    return subprocess.run(
        ["podman", *arguments], input=stdin, capture_output=True, text=True, timeout=timeout, env=environment()
    )


def environment() -> dict[str, str]:
    """The environment of this process, with the configuration that `make test-images` wrote."""
    return {"CONTAINERS_CONF": str(REPOSITORY / ".images" / "containers.conf"), **os.environ}


def command(
    name: str,
    *arguments: str,
    scratch: Path,
    volumes: Mapping[Path, str] = {},
    env: Mapping[str, str] = {},
    entrypoint: str | None = None,
    network: str = "none",
    user: str | None = None,
) -> list[str]:
    """Arguments of podman that run an image strictly. `volumes`: folder of this machine to path (and `:ro`)."""
    mounts = {scratch: "/tmp", **volumes}
    return [
        *("run", "--rm", *STRICT, f"--network={network}"),
        *(f"--volume={path}:{inside}" for path, inside in mounts.items()),
        *(f"--env={key}={value}" for key, value in {"HOME": "/tmp", **env}.items()),
        *([f"--entrypoint={entrypoint}"] if entrypoint else []),
        *([f"--user={user}"] if user else []),
        reference(name),
        *arguments,
    ]


def open_folder(path: Path) -> Path:
    """A folder that any user in a container may write to, as a volume with fsGroup would be."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o777)
    return path


def readable(path: Path) -> Path:
    """Let any user read what lies in a folder, and run its programs."""
    for each in [path, *path.rglob("*")]:
        each.chmod(each.stat().st_mode | (0o755 if each.is_dir() else 0o444))
    return path
