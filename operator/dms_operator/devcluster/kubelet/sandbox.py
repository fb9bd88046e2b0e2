"""The directory that a container sees instead of a root file system.

There is no mount namespace, so that it works unprivileged everywhere. Like Kubernetes' Windows HostProcess containers,
a container finds its volumes below $CONTAINER_SANDBOX_MOUNT_POINT: one mounted at /models is
$CONTAINER_SANDBOX_MOUNT_POINT/models, its termination message file $CONTAINER_SANDBOX_MOUNT_POINT/dev/termination-log.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dms_operator.devcluster.config import ImageConfig
from dms_operator.devcluster.controllers.meta import Object

from .environment import ConfigError, expand

MOUNT_POINT = "CONTAINER_SANDBOX_MOUNT_POINT"
_ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Sandbox:
    """One run of a container: its directory."""

    root: Path

    def below(self, path: str) -> Path:
        """Return where an absolute path of the container lies; it cannot leave the sandbox."""
        return self.root / os.path.normpath("/" + path).lstrip("/")

    @property
    def home(self) -> Path:
        """HOME and the default working directory."""
        return self.root / "root"


def create_sandbox(
    root: Path, container: Object, volumes: Mapping[str, Path], environment: Mapping[str, str]
) -> Sandbox:
    """Make the directories and links of one run. Raises ConfigError."""
    shutil.rmtree(root, ignore_errors=True)
    sandbox = Sandbox(root)
    for directory in (sandbox.home, root / "tmp", root / "dev"):
        directory.mkdir(parents=True, exist_ok=True)
    for mount in sorted(container.get("volumeMounts") or [], key=lambda item: len(item["mountPath"])):
        _mount(sandbox, mount, volumes[mount["name"]], environment)
    message = sandbox.below(container.get("terminationMessagePath") or "/dev/termination-log")
    message.parent.mkdir(parents=True, exist_ok=True)
    message.touch()
    return sandbox


def _mount(sandbox: Sandbox, mount: Object, source: Path, environment: Mapping[str, str]) -> None:
    target = sandbox.below(mount["mountPath"])
    sub_path = expand(mount.get("subPathExpr") or "", environment) or mount.get("subPath") or ""
    inside = source / sub_path
    if ".." in Path(sub_path).parts:
        raise ConfigError(f"subPath {sub_path!r} leaves its volume")
    if sub_path and not inside.exists():
        inside.mkdir(parents=True)
    if any(parent.is_symlink() for parent in target.parents if parent.is_relative_to(sandbox.root)):
        raise ConfigError(f"mount {mount['mountPath']} lies inside another volume, which the dev cluster cannot do")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        target.rmdir()
    target.symlink_to(inside)


def container_environment(
    sandbox: Sandbox, image: ImageConfig, declared: Mapping[str, str], service: tuple[str, int]
) -> dict[str, str]:
    """Return the whole environment of a process: nothing of the cluster's own leaks in.

    `service` is the API server's host and port, given only to a container that has an account token.
    """
    path = os.pathsep.join([*image.path, _SYSTEM_PATH])
    environment = {
        "PATH": path,
        "HOME": str(sandbox.home),
        "TMPDIR": str(sandbox.root / "tmp"),
        "LANG": "C.UTF-8",
        **image.env,
    }
    if (sandbox.root / _ACCOUNT).is_dir():
        environment |= {"KUBERNETES_SERVICE_HOST": service[0], "KUBERNETES_SERVICE_PORT": str(service[1])}
    return {**environment, **declared, MOUNT_POINT: str(sandbox.root)}


def working_directory(sandbox: Sandbox, container: Object) -> Path:
    """Return the directory that the process starts in, made if missing."""
    declared = container.get("workingDir")
    directory = sandbox.below(declared) if declared else sandbox.home
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def command_line(container: Object, image: ImageConfig, environment: Mapping[str, str]) -> list[str]:
    """Return command and args with $(VAR) expanded; the image's entrypoint stands in for a missing command."""
    command = container.get("command") or list(image.entrypoint)
    return [expand(word, environment) for word in [*command, *(container.get("args") or [])]]


# https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
LONGEST_MESSAGE = 4096


def read_termination_message(sandbox: Sandbox, container: Object) -> str:
    """Return what the container left in its termination message file, at most 4096 bytes."""
    path = sandbox.below(container.get("terminationMessagePath") or "/dev/termination-log")
    try:
        return path.read_bytes()[:LONGEST_MESSAGE].decode(errors="replace")
    except FileNotFoundError:
        return ""
