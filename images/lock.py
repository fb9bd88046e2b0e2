"""Writes the locks: each image's packages with the hashes of all their wheels, from pyproject.toml and the constraints.

Run by `make lock`. Tests hold the locks against the constraints with `stale`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from .catalog import HERE, REPOSITORY, Image, images

CONSTRAINTS = REPOSITORY / "constraints.txt"
"""Exact versions that were tested together."""
STAGE_CONSTRAINTS = HERE / "stage-constraints.txt"
"""What the images of stages have besides, or instead."""
BUILD_LOCK = HERE / "build.lock"
"""What builds the project's wheel: the backend that [build-system] of pyproject.toml names."""
BUILD_INPUT = HERE / "build.in"
PYTHON = "3.11"
"""Python of the images: Debian 12's."""
AMD64 = "x86_64-manylinux_2_36"
"""Debian 12 on x86-64: glibc 2.36."""

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)


def compile_command(image: Image) -> list[str]:
    """The command that writes an image's lock, from constraints on stdin; one for all its platforms."""
    extras = [f"--extra={extra}" for extra in image.extras]
    where = ["--universal"] if len(image.platforms) > 1 else [f"--python-platform={AMD64}"]
    return [*_compile(image.lock), *where, *extras, "pyproject.toml"]


def build_command() -> list[str]:
    """The command that writes the lock of what builds the wheel, from constraints on stdin."""
    return [*_compile(BUILD_LOCK), "--universal", str(BUILD_INPUT)]


def _compile(output: Path) -> list[str]:
    uv = str(Path(sys.executable).with_name("uv"))
    options = ["--quiet", "--generate-hashes", "--no-annotate", "--custom-compile-command=make lock"]
    where = [f"--python-version={PYTHON}", "--constraints=-", f"--output-file={output}"]
    return [uv, "pip", "compile", *options, *where]


def constraints(image: Image | None = None) -> dict[str, str]:
    """Package to exact version: those of an image, or those that were tested together."""
    stage = image is not None and "s3" in image.extras
    paths = [CONSTRAINTS, STAGE_CONSTRAINTS] if stage else [CONSTRAINTS]
    return {name: version for path in paths for name, version in pins(path.read_text()).items()}


def pins(text: str) -> dict[str, str]:
    """Package to version of a lock or of constraints, names normalized (PEP 503), versions without local part."""
    return {re.sub(r"[-_.]+", "-", name).lower(): version.partition("+")[0] for name, version in _PIN.findall(text)}


def stale(locked: Mapping[str, str], constraints: Mapping[str, str], wanted: Iterable[str] = ()) -> list[str]:
    """What is wrong with a lock: versions that the constraints do not name, and wanted packages that it lacks."""
    odd = [
        f"{name}=={version} is locked, the constraints say {constraints.get(name, 'nothing')}"
        for name, version in locked.items()
        if constraints.get(name) != version
    ]
    return odd + [f"{name} is not locked" for name in wanted if name not in locked]


def main() -> int:
    """Write all locks; 1 when the constraints do not name every version in them."""
    jobs = [(image.lock, compile_command(image), constraints(image)) for image in images().values()]
    jobs += [(BUILD_LOCK, build_command(), constraints())]
    # uv reads no settings of pip, and torch for CPUs alone is not on the public index
    environment = {"UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", ""), "UV_NATIVE_TLS": "1", **os.environ}
    problems = set()
    for lock, command, exact in jobs:
        print(lock.relative_to(REPOSITORY), flush=True)
        text = "\n".join(f"{name}=={version}" for name, version in exact.items())
        subprocess.run(
            command, cwd=REPOSITORY, env=environment, check=True, input=text.encode(), stdout=subprocess.DEVNULL
        )
        if lock != BUILD_LOCK:
            problems |= set(stale(pins(lock.read_text()), exact))
    print("\n".join(sorted(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
