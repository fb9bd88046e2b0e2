"""`dms artifact`: fetch an artifact with its papers from a store, and check its signature, as anybody can."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from .stores import checked_digest, opened
from .telling import errors_told

app = typer.Typer(no_args_is_help=True, help="Fetch an artifact with its papers, or check its signature.")
Digest = Annotated[
    str,
    typer.Argument(help="sha256:<64 hex digits>, as status.targets[].artifact.digest says.", callback=checked_digest),
]
StoreUri = Annotated[str, typer.Option("--store", help="URI of the store, as spec.artifacts.uri says.")]


@app.command()
def fetch(digest: Digest, store: StoreUri, into: Annotated[Path, typer.Option(help="A new folder.")]) -> None:
    """Lay an artifact out: its files, and attestation/ with provenance and bill of materials; the signature beside."""
    from dms_operator.artifacts.attestation import FOLDER, lay_out

    if into.exists():
        raise typer.BadParameter(f"{into} exists: name a new folder")
    with errors_told(), tempfile.TemporaryDirectory() as scratch:
        found = opened(store)
        files, attestation = found.fetch(digest, Path(scratch)), found.attestation(digest)
        if attestation is None:
            raise typer.BadParameter(f"artifact {digest} has no papers in {store}")
        lay_out(files, attestation, into)
    what = f"{into}: {len(files)} files and {FOLDER}/"
    if attestation.signature is None:
        print(f"{what}; not signed")
        return
    signature = into.with_name(f"{into.name}.sig")
    signature.write_text(json.dumps(attestation.signature))
    print(f"{what}; signature in {signature}")


@app.command()
def verify(
    digest: Digest, store: StoreUri, key: Annotated[Path, typer.Option(help="Public key (PEM).", exists=True)]
) -> None:
    """Check that a key signed exactly these files and papers."""
    from dms_operator.artifacts.signing import Keys

    with errors_told(), tempfile.TemporaryDirectory() as scratch:
        found, keys = opened(store), Keys(public=key.resolve())
        files = found.fetch(digest, Path(scratch) / "files")
        keys.verify(digest, files, found.attestation(digest), Path(scratch))
        print(f"{digest}: {len(files)} files, signed by key {keys.signer}")
