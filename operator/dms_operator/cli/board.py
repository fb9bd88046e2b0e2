"""`dms board`: what runs beside boards."""

import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Watch a board.")

CREDENTIALS = Path("/etc/dms/boards")


@app.command()
def probe(
    node: Annotated[str, typer.Option(envvar="DMS_NODE_NAME", help="Node whose board is looked at.")],
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=1)] = 300,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    credentials: Annotated[Path, typer.Option(help="A folder for each Secret of a board.")] = CREDENTIALS,
) -> None:
    """Tell on the node what its board is and how it is: annotations, and the condition DMSBoardHealthy.

    Runs in a pod on the node (examples/boards/probe.yaml). It looks every five minutes: a look at a board behind ssh is
    a login there, and costs the board some milliseconds.
    """
    from dms_operator.artifacts.paths import sandboxed
    from dms_operator.pipeline.probe.node import ApiUnavailable, NodeApi
    from dms_operator.pipeline.probe.probe import Probe

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        found = Probe(NodeApi(node), sandboxed(str(credentials)))
        if once:
            print("written" if found.look() else "nothing changed")
        else:
            found.run(interval, stop)
    except ApiUnavailable as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error
