"""Argo CD's health check of a resource: its Lua script gets the object as `obj` (argo-cd, util/lua).

Run by Lua 5.1, the language that Argo CD's interpreter implements.
"""

from pathlib import Path
from typing import Any, NamedTuple

import yaml
from lupa import lua51

EXAMPLES = Path(__file__).parents[2] / "examples" / "gitops"
SCRIPT = EXAMPLES / "argocd" / "health.lua"
STATUSES = ("Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown")


class Health(NamedTuple):
    """What Argo CD shows."""

    status: str
    message: str


def health(body: dict[str, Any]) -> Health:
    """Run the script that the argocd-cm of the examples holds."""
    runtime = lua51.LuaRuntime(register_eval=False, unpack_returned_tuples=True)
    config = yaml.safe_load((EXAMPLES / "argocd" / "argocd-cm.yaml").read_text())
    script = config["data"]["resource.customizations.health.dms.edge_DMSModelDeployment"]
    check = runtime.eval(f"function(obj)\n{script}\nend")
    answer = check(runtime.table_from(body, recursive=True))
    assert answer.status in STATUSES
    return Health(answer.status, answer.message)
