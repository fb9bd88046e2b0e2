"""`dms compare`."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer
from rich.console import Console

from dms_operator.api.errors import DMSError
from dms_operator.api.quantities import Duration, Power

from ..cluster import ClusterAccess, Context, Kubeconfig, Namespace
from ..objects import Deployment, from_cluster, from_file
from .cells import sections
from .recommendation import recommend
from .render import as_json, as_markdown, as_text
from .rows import groups, with_budget

WIDTH = 160
"""Columns where the output is no terminal."""


def compare(
    names: Annotated[list[str] | None, typer.Argument(help="Deployments; none: all of the namespace.")] = None,
    filename: Annotated[str, typer.Option("-f", "--filename", help="A saved `kubectl get -o json`; - is stdin.")] = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Annotated[
        Literal["text", "json", "markdown"], typer.Option("-o", "--output", help="Output format.")
    ] = "text",
    latency_budget: Annotated[str, typer.Option(help="Judge by another budget, such as 20ms.")] = "",
    power_budget: Annotated[str, typer.Option(help="Judge by another budget, such as 800mW.")] = "",
) -> None:
    """Compare platforms and precisions of deployments, and say which to take and by which rule."""
    try:
        access = ClusterAccess(kubeconfig, context, namespace)
        found = from_file(filename, names or []) if filename else from_cluster(access, names or [])
        judged = [_with_budget(each, latency_budget, power_budget) for each in found]
    except (DMSError, ValueError) as error:
        typer.echo(f"{error.reason}: {error}" if isinstance(error, DMSError) else str(error), err=True)
        raise typer.Exit(1) from error
    if output == "text":
        console = Console()
        return show(judged, console if console.is_terminal else Console(width=WIDTH, soft_wrap=True))
    written = as_json if output == "json" else as_markdown
    print(written(sections(groups(judged)), recommend(judged)))


def show(deployments: Sequence[Deployment], console: Console) -> None:
    """Print tables and recommendation."""
    as_text(sections(groups(deployments)), recommend(deployments), console)


def _with_budget(deployment: Deployment, latency: str, power: str) -> Deployment:
    return with_budget(deployment, Duration.parse(latency) if latency else None, Power.parse(power) if power else None)
