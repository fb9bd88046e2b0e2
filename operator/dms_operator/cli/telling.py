"""How commands end when something is wrong: in one line, with exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from dms_operator.api.errors import DMSError


@contextmanager
def errors_told() -> Iterator[None]:
    """Tell an error by its reason and what to change."""
    try:
        yield
    except DMSError as error:
        typer.echo(f"{error.reason}: {error}", err=True)
        raise typer.Exit(1) from error
