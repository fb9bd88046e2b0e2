"""`dms profile`: what a compiled artifact costs per layer, what runs where, and how well it agrees with its model."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from dms_operator.api.errors import InvalidSpec, SourceNotFound

from . import profile_tidl
from .stores import checked_digest, opened
from .telling import errors_told

_DATASET_LIMIT_BYTES = 4 << 30


def profile(
    artifact: Annotated[str, typer.Argument(help="A compiled artifact: its directory, or its digest with --store.")],
    store: Annotated[str, typer.Option(help="URI of the artifact store that holds the digest.")] = "",
    top: Annotated[int, typer.Option(help="Layers to show, the costliest first; 0 shows all.")] = 20,
    output: Annotated[Literal["table", "json"], typer.Option("-o", "--output", help="Output format.")] = "table",
    model: Annotated[Path | None, typer.Option(help="The ONNX variant that was compiled, to compare with.")] = None,
    dataset: Annotated[Path | None, typer.Option(help="Labelled .npz; its samples run on the simulator.")] = None,
    samples: Annotated[int, typer.Option(help="How many samples of the dataset to simulate.")] = 64,
) -> None:
    """Print the per-layer profile, DDR traffic and CPU nodes of a compiled artifact.

    With --model and --dataset the samples also run on the simulator, on all cores, and are compared with the model.
    """
    if (model is None) != (dataset is None):
        raise typer.BadParameter("--model and --dataset go together: give both, or neither")
    with errors_told(), TemporaryDirectory(prefix="dms-profile-") as scratch:
        directory = _directory(artifact, store, Path(scratch))
        document = _document(directory)
        if model and dataset:
            if "profile" not in document:
                raise InvalidSpec(
                    "samples are run here for toolchain qnn alone",
                    hint="For TDA4VM use python -m dms_operator.toolchains.tidl.compare",
                )
            document["onTarget"] = _on_target(directory, model, dataset, samples, Path(scratch))
    if output == "json":
        print(json.dumps(document, indent=1))
    elif "profile" not in document:
        profile_tidl.show(document, top, Console())
    else:
        _show(document, top, Console())


def _directory(artifact: str, store: str, scratch: Path) -> Path:
    if store:
        opened(store).fetch(checked_digest(artifact), scratch / "artifact")
        return scratch / "artifact"
    if artifact.startswith("sha256:"):
        raise typer.BadParameter("a digest is looked up in a store: say which by --store")
    if not (Path(artifact) / "manifest.json").is_file():
        raise SourceNotFound(
            f"{artifact} holds no compiled artifact", hint="Name its folder, or its digest (status.targets[].artifact)"
        )
    return Path(artifact)


def _document(directory: Path) -> dict[str, Any]:
    from dms_operator.toolchains.manifest import read_manifest, read_report

    manifest = read_manifest(directory)
    if manifest.get("compiled", {}).get("toolchain") == "tidl":
        return profile_tidl.document(directory, manifest)
    return {
        "compiled": manifest.get("compiled", {}),
        "cpuNodes": manifest.get("cpuNodes", []),
        "profile": read_report(directory, "layers.json"),
    }


def _on_target(compiled: Path, model: Path, dataset: Path, samples: int, scratch: Path) -> dict[str, Any]:
    from dms_operator.pipeline.dataset import load_dataset
    from dms_operator.pipeline.metrics import score
    from dms_operator.pipeline.onnx_file import inputs_of
    from dms_operator.toolchains.onnx_graph import read_graph
    from dms_operator.toolchains.qnn.evaluate import evaluate

    data = load_dataset(dataset, inputs_of(read_graph(model)), _DATASET_LIMIT_BYTES, labels_required=False)
    count = min(samples, len(data))
    found = evaluate(compiled, model, map(data.feed, range(count)), count, scratch, _report)
    document: dict[str, Any] = {
        "samples": count,
        "sameTop": found.agreement.same_top / count,
        "outputs": {name: output.to_wire() for name, output in found.agreement.outputs.items()},
    }
    if data.labels is not None:
        facts = score("top1", found.target, data.labels[:count], found.host)
        host = score("top1", found.host, data.labels[:count], None)
        document |= {"accuracy": facts.to_wire(), "hostAccuracy": host.to_wire()}
    return document


def _report(step: str, done: int, total: int) -> None:
    typer.echo(f"@progress {step} {done}/{total}", err=True)


def _show(document: dict[str, Any], top: int, console: Console) -> None:
    compiled, found = document["compiled"], document["profile"]
    delegation = compiled.get("delegation", {})
    console.print(f"{found['soc']}: {delegation.get('npu')} of {delegation.get('total')} nodes on the NPU")
    for node in document["cpuNodes"]:
        console.print(f"  CPU: {node['node']} ({node['opType']}, {node['shape']}): {node['reason']}", markup=False)
    _show_cost(found["costModel"], console)
    if found.get("note"):
        console.print(found["note"], markup=False)
    if found["layers"]:
        _show_layers(found["layers"], top, console)
    if "onTarget" in document:
        _show_on_target(document["onTarget"], console)


def _show_cost(cost: dict[str, Any], console: Console) -> None:
    if "note" in cost:
        console.print(cost["note"])
        return
    bounds = f"{cost['timeUs']} us ({cost['lowerUs']} to {cost['upperUs']})"
    console.print(f"Cost model: {bounds}, {cost['partitions']} partition(s), without RPC and input/output transfer")
    if cost["missingOps"]:
        console.print(f"Too low: {cost['missingOps']} operators have no cost")
    console.print("DDR traffic: " + ", ".join(f"{kind} {size:,} B" for kind, size in cost["trafficBytes"].items()))


def _show_layers(layers: list[dict[str, Any]], top: int, console: Console) -> None:
    modelled = "cycles" in layers[0]
    key = "cycles" if modelled else "simulatorCycles"
    title = "target cycles by the cost model" if modelled else f"{key}: this machine's, no figure of the target"
    table = Table(title=title)
    for name in ("operator", "cycles", "share", "DDR bytes", "ONNX nodes"):
        table.add_column(name, justify="right" if name in ("cycles", "share", "DDR bytes") else "left")
    for layer in sorted(layers, key=lambda row: -row[key])[: top or None]:
        share = f"{layer['share']:.1%}" if "share" in layer else ""
        table.add_row(
            layer["name"], f"{layer[key]:,}", share, f"{layer.get('ddrBytes', 0):,}", ", ".join(layer["nodes"])
        )
    console.print(table)


def _show_on_target(found: dict[str, Any], console: Console) -> None:
    console.print(f"{found['samples']} samples simulated; same top value as the model: {found['sameTop']:.1%}")
    for name, output in found["outputs"].items():
        sqnr = "infinite" if output["sqnrDb"] is None else f"{output['sqnrDb']:.1f} dB"
        console.print(f"  {name}: max error {output['maxError']:.4g}, mean {output['meanError']:.4g}, SQNR {sqnr}")
    if accuracy := found.get("accuracy"):
        interval = f"{accuracy['low']:.4f} to {accuracy['high']:.4f}"
        host = found["hostAccuracy"]["value"]
        console.print(f"top1 on target {accuracy['value']:.4f} (95 %: {interval}), of the model {host:.4f}")
