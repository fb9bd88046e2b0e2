"""`dms report`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..cluster import ClusterAccess, Context, Kubeconfig, Namespace
from ..objects import Deployment, from_cluster, from_file
from ..telling import errors_told
from .contents import report as contents
from .evidence import Evidence, gather
from .html import as_html
from .markdown import as_markdown
from .result import as_json

FORMS: dict[str, Callable[[Deployment, Evidence], str]] = {
    "html": lambda deployment, evidence: as_html(contents(deployment, evidence)),
    "markdown": lambda deployment, evidence: as_markdown(contents(deployment, evidence)),
    "json": as_json,
}
"""How a report may be written."""


def report(
    name: Annotated[str, typer.Argument(help="The deployment.")],
    filename: Annotated[str, typer.Option("-f", "--filename", help="A saved `kubectl get -o json`; - is stdin.")] = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    store: Annotated[str, typer.Option(help="URI of the artifact store as seen from here; default: the spec's.")] = "",
    output: Annotated[
        Literal["html", "markdown", "json"], typer.Option("-o", "--output", help="Output format.")
    ] = "html",
    to: Annotated[Path | None, typer.Option(help="File to write; default: standard output.")] = None,
) -> None:
    """Write everything that is known about a deployment on one page: ladder, gates, latency, power, layers, origin."""
    with errors_told():
        access = ClusterAccess(kubeconfig, context, namespace)
        (deployment,) = from_file(filename, [name]) if filename else from_cluster(access, [name])
        text = FORMS[output](deployment, gather(deployment, store))
    if to is None:
        print(text, end="")
        return
    try:
        to.write_text(text)
    except OSError as error:
        raise typer.BadParameter(f"{to} cannot be written: {error.strerror}", param_hint="--to") from error
    typer.echo(f"{to}: {len(text) / 1e3:.0f} kB", err=True)
