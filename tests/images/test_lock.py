"""The committed locks against pyproject.toml and the constraints: a stale one fails here, with what to do."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from images.catalog import REPOSITORY, Image, images
from images.lock import BUILD_LOCK, PYTHON, constraints, pins, stale

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
every_image = pytest.mark.parametrize("image", images().values(), ids=lambda image: image.name)


def requirements(image: Image) -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"]
    texts = PROJECT["project"]["dependencies"] + [text for extra in image.extras for text in extras[extra]]
    return [Requirement(text) for text in texts]


@every_image
def test_a_lock_is_what_pyproject_and_the_constraints_say(image: Image) -> None:
    locked = pins(image.lock.read_text())
    wanted = {re.sub(r"[-_.]+", "-", each.name).lower(): each for each in requirements(image)}
    assert not stale(locked, constraints(image), wanted), "run `make lock`"
    assert [name for name, each in wanted.items() if locked[name] not in each.specifier] == []


@every_image
def test_every_locked_package_has_a_hash(image: Image) -> None:
    text = image.lock.read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(text)) > 20
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.images
@pytest.mark.slow
@pytest.mark.parametrize(
    ("image", "platform"),
    [
        pytest.param(image, where, id=f"{image.name}-{where}")
        for image in images().values()
        for where in image.platforms
    ],
)
def test_every_locked_package_has_a_wheel_for_every_platform_of_its_image(
    image: Image, platform: str, tmp_path: Path
) -> None:
    machine = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[platform]
    where = [f"--python-platform={machine}-manylinux_2_36", f"--python-version={PYTHON}", f"--target={tmp_path}"]
    command = ["uv", "pip", "install", "--dry-run", "--no-deps", "--require-hashes", "--only-binary=:all:", *where]
    command[0] = str(Path(sys.executable).with_name("uv"))
    done = subprocess.run(
        [*command, f"--find-links={REPOSITORY / 'images/wheels'}", f"--requirements={image.lock}"],
        capture_output=True,
        text=True,
        env={**os.environ, "UV_NATIVE_TLS": "1"},
    )
    assert done.returncode == 0, done.stderr


def test_the_build_backend_is_locked() -> None:
    (backend,) = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
    assert pins(BUILD_LOCK.read_text())[backend.name] in backend.specifier


def test_torch_is_locked_to_a_cpu_build() -> None:
    assert re.search(r"^torch==[\d.]+\+cpu \\$", images()["quantizer"].lock.read_text(), re.MULTILINE)


def test_a_version_that_the_constraints_do_not_name_is_stale() -> None:
    assert stale({"a": "1", "b": "2"}, {"a": "1", "b": "3"}) == ["b==2 is locked, the constraints say 3"]
    assert stale({"a": "1"}, {}, ["c"]) == ["a==1 is locked, the constraints say nothing", "c is not locked"]


def test_names_and_local_versions_are_normalized() -> None:
    assert pins("Ruamel.YAML_x==1.0 \\\n    --hash=sha256:0\ntorch==2.0+cpu ; x == 'y'\n# six==1") == {
        "ruamel-yaml-x": "1.0",
        "torch": "2.0",
    }
