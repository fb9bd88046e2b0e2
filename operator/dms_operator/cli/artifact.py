"""`dms artifact`: fetch an artifact with its papers from a store, and check its signature, as anybody can."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dms_operator.api.errors import DMSError

if TYPE_CHECKING:
    from dms_operator.artifacts.store import Store

app = typer.Typer(no_args_is_help=True, help="Artifacts in a store: their files, papers and signatures.")
Digest = Annotated[str, typer.Argument(help="sha256:<64 hex digits>, as status.targets[].artifact.digest says.")]
StoreUri = Annotated[str, typer.Option("--store", help="URI of the store, as spec.artifacts.uri says.")]


@app.command()
def fetch(digest: Digest, store: StoreUri, into: Annotated[Path, typer.Option(help="A new folder.")]) -> None:
    """Lay an artifact out: its files, and attestation/ with provenance and bill of materials; the signature beside."""
    from dms_operator.artifacts.attestation import FOLDER, lay_out

    if into.exists():
        raise typer.BadParameter(f"{into} exists: name a new folder")
    with _errors_told(), tempfile.TemporaryDirectory() as scratch:
        opened = _open(store)
        files, attestation = opened.fetch(digest, Path(scratch)), opened.attestation(digest)
        if attestation is None:
            raise typer.BadParameter(f"artifact {digest} has no papers in {store}")
        lay_out(files, attestation, into)
    found = f"{into}: {len(files)} files and {FOLDER}/"
    if attestation.signature is None:
        print(f"{found}; not signed")
        return
    signature = into.with_name(f"{into.name}.sig")
    signature.write_text(json.dumps(attestation.signature))
    print(f"{found}; signature in {signature}")


@app.command()
def verify(
    digest: Digest, store: StoreUri, key: Annotated[Path, typer.Option(help="Public key (PEM).", exists=True)]
) -> None:
    """Check that a key signed exactly these files and papers."""
    from dms_operator.artifacts.signing import Keys

    with _errors_told(), tempfile.TemporaryDirectory() as scratch:
        opened, keys = _open(store), Keys(public=key.resolve())
        files = opened.fetch(digest, Path(scratch) / "files")
        keys.verify(digest, files, opened.attestation(digest), Path(scratch))
        print(f"{digest}: {len(files)} files, signed by key {keys.signer}")


def _open(uri: str) -> "Store":
    from dms_operator.artifacts.store import open_store
    from dms_operator.artifacts.uris import parse_uri

    parsed = parse_uri(uri)
    return open_store(uri, (Path(parsed.path),) if parsed.scheme == "file" else None)


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except DMSError as error:
        typer.echo(f"{error.reason}: {error}", err=True)
        raise typer.Exit(1) from error
