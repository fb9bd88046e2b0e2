"""The kubeconfig file by which clients find the server."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import yaml


def kubeconfig(url: str, authority: bytes, token: str, name: str = "dms-devcluster") -> dict[str, Any]:
    """The content: one cluster, one user with a bearer token, one context."""
    encoded = base64.b64encode(authority).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": encoded}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write it readable by its owner only, and never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(yaml.safe_dump(content, sort_keys=False))
    draft.replace(path)
