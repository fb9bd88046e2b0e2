"""The report as data, for scripts and archives: `dms report -o json --to result.json`."""

import json
from typing import Any

from ..objects import Deployment
from . import ladder
from .evidence import Evidence, VariantFiles


def as_json(deployment: Deployment, evidence: Evidence) -> str:
    """The ladder's history with what was learned of each variant, and every target with its gates and figures."""
    status = deployment.status
    found = {
        "deployment": f"{deployment.metadata.namespace}/{deployment.name}",
        "generation": deployment.metadata.generation,
        "revision": status.revision.current if status.revision else None,
        "phase": status.phase,
        "message": status.summary.message if status.summary else "",
        "quantization": deployment.spec.quantization.to_wire(),
        "ladder": _ladder(deployment, evidence),
        "targets": [target.to_wire() for target in status.targets],
        "missing": list(evidence.problems),
    }
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def _ladder(deployment: Deployment, evidence: Evidence) -> list[dict[str, Any]]:
    """One entry per variant, in the order in which they were made; tables are empty where there is none."""
    rows = []
    for variant in deployment.status.variants:
        files = evidence.variants.get(variant.name, VariantFiles())
        learned = {"sensitivity": dict(files.sensitivity), "training": dict(files.training)}
        rows.append(variant.to_wire() | learned | {"outcome": ladder.outcome(variant, deployment.status.targets)})
    return rows
