"""The published rules of kstatus for custom resources (kubernetes-sigs/cli-utils, pkg/kstatus, `Compute`).

In order: being deleted, generation not observed, Reconciling, Stalled, Ready; and without any of these, current.
"""

from typing import Any, Literal

Verdict = Literal["Terminating", "InProgress", "Failed", "Current"]


def kstatus(body: dict[str, Any]) -> Verdict:
    """What kstatus makes of an object."""
    metadata, status = body["metadata"], body.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or []}
    for kind in (kind for kind in conditions if conditions[kind] == "True"):
        if kind == "Reconciling":
            return "InProgress"
        if kind == "Stalled":
            return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"
