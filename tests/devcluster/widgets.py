"""The widget CRD of the recordings, and widgets."""

from __future__ import annotations

from typing import Any

from devcluster.replay import load

GROUP, VERSION, PLURAL = "demo.example", "v1", "widgets"


def definition() -> dict[str, Any]:
    crd: dict[str, Any] = load("03-crd")[0]["request"]["body"]
    return crd


def widget(name: str, size: int = 1, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Widget",
        "metadata": {"name": name, **metadata},
        "spec": {"size": size},
    }
