"""Flux' health check expressions, evaluated as its controllers do (fluxcd/pkg, runtime/cel, RFC 0009).

The object's top-level fields are the variables. First the generation must be observed; then inProgress, failed and
current are asked in this order, and an object for which none holds is in progress.
"""

from pathlib import Path
from typing import Any, Literal

import yaml
from cel_expr_python import cel

from dms_operator.devcluster.schema.cel_programs import compiled, run

EXAMPLE = Path(__file__).parents[2] / "examples" / "gitops" / "flux" / "models.yaml"
VARIABLES = ("apiVersion", "kind", "metadata", "spec", "status")
Verdict = Literal["InProgress", "Failed", "Current"]


def expressions() -> dict[str, dict[str, str]]:
    """The checks that the examples ship, by Flux Kustomization."""
    found = [body for body in yaml.safe_load_all(EXAMPLE.read_text()) if body["kind"] == "Kustomization"]
    return {body["metadata"]["name"]: check for body in found for check in body["spec"]["healthCheckExprs"]}


def health(body: dict[str, Any], checks: dict[str, str]) -> Verdict:
    """What Flux makes of an object. Raises EvaluationError, which Flux reports and waits over."""
    observed = (body.get("status") or {}).get("observedGeneration")
    if observed is not None and observed != body["metadata"]["generation"]:
        return "InProgress"
    verdicts: tuple[tuple[str, Verdict], ...] = (
        ("inProgress", "InProgress"),
        ("failed", "Failed"),
        ("current", "Current"),
    )
    environment = cel.NewEnv(None, variables=dict.fromkeys(VARIABLES, cel.Type.DYN))
    for name, verdict in verdicts:
        program = compiled(environment, checks[name], cel.Type.BOOL)
        if run(program, environment.Activation({variable: body.get(variable, {}) for variable in VARIABLES})):
            return verdict
    return "InProgress"
