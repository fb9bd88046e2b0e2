"""The commands of `dms rollout`.

They import what they need when they run: stage pods, which have none of the operator's libraries, start by `dms`, too.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from ..cluster import ClusterAccess, Context, Kubeconfig, Namespace
from ..objects import Deployment, from_cluster
from ..telling import errors_told
from ..writes import Request, write

app = typer.Typer(no_args_is_help=True, help="See where a rollout over the vehicles stands, and steer it.")
Name = Annotated[str, typer.Argument(help="The deployment.")]
Revision = Annotated[str, typer.Option(help="Only if it is this revision.")]


@app.command()
def status(
    name: Name,
    watch: Annotated[bool, typer.Option("-w", "--watch", help="A line for each change, until the end.")] = False,
    vehicles: Annotated[bool, typer.Option("--vehicles", help="A line for each vehicle.")] = False,
    output: Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="Output format.")] = "text",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show waves, vehicles, gates, what is waited for, and what can be done.

    With --watch it ends when the rollout does: exit code 0 when it is completed, 1 when it was taken back.
    """
    from .reading import read_fleet
    from .render import as_json, as_text
    from .view import rollout_view
    from .watch import follow

    access = ClusterAccess(kubeconfig, context, namespace)
    with errors_told():
        deployment = follow(access, name, typer.echo) if watch else from_cluster(access, [name])[0]
        view = rollout_view(deployment, read_fleet(access, deployment), datetime.now(UTC), access.options)
        print(as_json(view) if output == "json" else as_text(view, every_vehicle=vehicles))
    raise typer.Exit(1 if watch and deployment.status.phase != "Ready" else 0)


@app.command()
def approve(
    name: Name,
    wave: Annotated[str, typer.Option(help="Only if it is this wave.")] = "",
    revision: Revision = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Let the wave start that waits for approval."""
    from .requests import approval

    access = ClusterAccess(kubeconfig, context, namespace)
    _ask(access, name, lambda deployment: approval(deployment, wave, revision))


@app.command()
def abort(
    name: Name,
    revision: Revision = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Take the revision back from every vehicle: they get the one that was completed before."""
    from .requests import abort as aborted

    _ask(ClusterAccess(kubeconfig, context, namespace), name, lambda deployment: aborted(deployment, revision))


@app.command()
def retry(
    name: Name,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go on with taking the revision back.")] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Try once more what failed; a revision that was taken back is rolled out again from its first wave."""
    from .requests import retry as retried

    now = datetime.now(UTC)
    access = ClusterAccess(kubeconfig, context, namespace)
    _ask(access, name, lambda deployment: retried(deployment, now, rollback=rollback))


@app.command()
def pause(name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None) -> None:
    """Start nothing more: spec.suspend is set."""
    from .requests import suspension

    access = ClusterAccess(kubeconfig, context, namespace)
    _ask(access, name, lambda deployment: suspension(deployment, suspend=True))


@app.command()
def resume(name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None) -> None:
    """Go on after a pause."""
    from .requests import suspension

    access = ClusterAccess(kubeconfig, context, namespace)
    _ask(access, name, lambda deployment: suspension(deployment, suspend=False))


def _ask(access: ClusterAccess, name: str, decide: Callable[[Deployment], Request]) -> None:
    """Write what is asked for, and say what was written."""
    with errors_told():
        request = write(access, name, decide)
        typer.echo(f"{name}: {request.says}")
        if request.remark:
            typer.echo(f"note: {request.remark}")
