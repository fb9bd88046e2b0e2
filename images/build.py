"""Builds the images with podman or docker. Run by `make images`; `--help` lists what the environment may say.

The build sees what this machine's pip sees: its index, proxy and certificates come in as secrets of the build, which
are in no layer, and local folders of wheels (find-links) through images/wheels.
"""

import argparse
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .catalog import HERE, REPOSITORY, Image, images

ENVIRONMENT = """environment:
  REGISTRY   what comes before the images' names (default: dms)
  TAG        tag (default: the project's version)
  PLATFORM   linux/amd64 or linux/arm64 (default: this machine's); foreign ones need qemu-user-static
  BASE       base image: Debian 12, or another with its Python (default: debian:bookworm-slim)
  ENGINE     podman or docker (default: the first that works)
  PUSH       1 pushes what was built
  BUILD_OPTIONS  more options for `podman build` or `docker build`
  PIP_*      and pip's configuration: index, proxy, certificates, find-links of the builds
"""
HINT = "docs/images.md says what a build needs: PyTorch's CPU build, proxies and certificates, emulation"
ENGINES = ("podman", "docker")
PIP_SECRET, CA_SECRET = "pip.conf", "ca.pem"
"""Names of the build's secrets, which appear below /run/secrets."""
PASSED_SETTINGS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "trusted-host",
    "proxy",
    "timeout",
    "retries",
    "no-index",
    "prefer-binary",
)
"""Settings of pip that mean the same inside a build."""


@dataclass(frozen=True)
class Wanted:
    """What the environment says about the builds."""

    registry: str
    tag: str
    platform: str
    base: str
    options: tuple[str, ...]

    def reference(self, image: Image) -> str:
        """Name under which an image is built and pushed."""
        return f"{self.registry.rstrip('/')}/{image.name}:{self.tag}"


def wanted(environment: Mapping[str, str], version: str) -> Wanted:
    """Read the environment; an empty variable counts as absent."""
    return Wanted(
        registry=environment.get("REGISTRY") or "dms",
        tag=environment.get("TAG") or version,
        platform=environment.get("PLATFORM", ""),
        base=environment.get("BASE", ""),
        options=tuple(environment.get("BUILD_OPTIONS", "").split()),
    )


def build_command(
    engine: str, image: Image, wanted: Wanted, arguments: Mapping[str, str], secrets: Mapping[str, Path]
) -> list[str]:
    """The command that builds an image from the repository."""
    given = {**arguments, **({"BASE": wanted.base} if wanted.base else {})}
    return [
        *(engine, "build", f"--file={image.containerfile}", f"--tag={wanted.reference(image)}"),
        *([f"--platform={wanted.platform}"] if wanted.platform else []),
        *(f"--build-arg={name}={value}" for name, value in given.items()),
        *(f"--secret=id={name},src={path}" for name, path in secrets.items()),
        *wanted.options,
        str(REPOSITORY),
    ]


def pip_settings(listing: str) -> dict[str, list[str]]:
    """Settings from what `pip config list` prints: those of the environment first, which win."""
    settings: dict[str, list[str]] = {}
    for line in listing.splitlines():
        name, separator, value = line.partition("=")
        if separator:
            settings.setdefault(name.rpartition(".")[2], value.strip("'\"").replace("\\n", " ").split())
    return settings


def portable(settings: Mapping[str, list[str]]) -> str:
    """A pip.conf with what a build can use: no path of this machine, which is not there."""
    kept = {name: [value for value in settings.get(name, []) if not is_local(value)] for name in PASSED_SETTINGS}
    lines = [f"{name} = {' '.join(values)}" for name, values in kept.items() if values]
    return "\n".join(["[global]", f"cert = /run/secrets/{CA_SECRET}", *lines, ""])


def is_local(value: str) -> bool:
    """Whether a setting names a file or folder of this machine."""
    return value.startswith(("/", "~", ".", "file:"))


def copy_wheels(settings: Mapping[str, list[str]]) -> None:
    """Put the wheels of local find-links where builds see them."""
    for folder in settings.get("find-links", []):
        for wheel in Path(folder.removeprefix("file://")).expanduser().glob("*.whl") if is_local(folder) else []:
            target = HERE / "wheels" / wheel.name
            if not target.exists() or target.stat().st_size != wheel.stat().st_size:
                print(f"copying {wheel} to {target.relative_to(REPOSITORY)}", flush=True)
                shutil.copyfile(wheel, target)


def certificates(settings: Mapping[str, list[str]]) -> Path:
    """What this machine trusts: the bundle that pip or OpenSSL is told to use, else that of pip itself."""
    named = [*settings.get("cert", []), ssl.get_default_verify_paths().cafile]
    bundle = next((Path(path) for path in named if path and Path(path).is_file()), None)
    return bundle or Path(_python("-c", "import pip._vendor.certifi as c; print(c.where())"))


def find_engine(environment: Mapping[str, str]) -> str:
    """The first engine that answers. Raises SystemExit with what to install."""
    tried = [environment["ENGINE"]] if environment.get("ENGINE") else list(ENGINES)
    answers = {}
    for engine in tried:
        if shutil.which(engine) is None:
            answers[engine] = "not installed"
            continue
        probe = subprocess.run([engine, "info"], capture_output=True, text=True)
        if probe.returncode == 0:
            return engine
        answers[engine] = (probe.stderr.strip().splitlines() or ["does not answer"])[-1]
    told = "\n".join(f"  {engine}: {answer}" for engine, answer in answers.items())
    raise SystemExit(
        f"images are built by podman or docker, and none works here:\n{told}\n"
        "Install one (Debian: apt-get install podman), or start docker"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Build the images named, or all that exist for the platform."""
    parser = argparse.ArgumentParser(epilog=ENVIRONMENT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="IMAGE", help=f"of {', '.join(images())}; default: all")
    names = parser.parse_args(argv).names
    if unknown := [name for name in names if name not in images()]:
        parser.error(f"no image {', '.join(unknown)}; there are {', '.join(images())}")
    engine, version = find_engine(os.environ), _version()
    build = wanted(os.environ, version)
    settings = pip_settings(_python("-m", "pip", "config", "list"))
    copy_wheels(settings)
    with tempfile.TemporaryDirectory() as scratch:
        configuration = Path(scratch, PIP_SECRET)
        configuration.write_text(portable(settings))
        secrets = {PIP_SECRET: configuration, CA_SECRET: certificates(settings)}
        arguments = {"VERSION": version, "REVISION": _revision(), **_proxies(os.environ)}
        for image in [images()[name] for name in names or images()]:
            if build.platform and build.platform not in image.platforms:
                print(f"== {image.name}: not for {build.platform}, see docs/images.md", flush=True)
                continue
            print(f"== {build.reference(image)}", flush=True)
            subprocess.run(build_command(engine, image, build, arguments, secrets), check=True)
            if os.environ.get("PUSH") == "1":
                subprocess.run([engine, "push", build.reference(image)], check=True)
    return 0


def _proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Build arguments that every builder knows, and leaves out of the image."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    return {name: value for upper in names for name in (upper, upper.lower()) if (value := environment.get(name))}


def _version() -> str:
    text = (REPOSITORY / "operator/dms_operator/__init__.py").read_text()
    return next(line.split('"')[1] for line in text.splitlines() if line.startswith("__version__"))


def _revision() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or "unknown"


def _python(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"failed: {' '.join(error.cmd)}\n{HINT}")
