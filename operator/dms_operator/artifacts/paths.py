"""Absolute container paths, as the process that runs them sees them."""

import os
from pathlib import Path

SANDBOX_VARIABLE = "CONTAINER_SANDBOX_MOUNT_POINT"
"""Kubernetes' name for where a host-process container's mounts really are; the dev cluster's kubelet sets it too."""

ROOTS_VARIABLE = "DMS_FILE_ROOTS"
DEFAULT_ROOTS = "/models:/data:/artifacts"


def sandboxed(path: str | Path) -> Path:
    """Where an absolute container path really is; relative paths and paths inside the sandbox stay as they are."""
    path = Path(path)
    mount = os.environ.get(SANDBOX_VARIABLE)
    if not mount or not path.is_absolute() or path.is_relative_to(mount):
        return path
    return Path(mount) / path.relative_to("/")


def allowed_roots() -> tuple[Path, ...]:
    """Directories (container paths) below which `file:` URIs may point; from DMS_FILE_ROOTS, colon-separated."""
    text = os.environ.get(ROOTS_VARIABLE) or DEFAULT_ROOTS
    return tuple(Path(part) for part in text.split(":") if part.startswith("/"))
