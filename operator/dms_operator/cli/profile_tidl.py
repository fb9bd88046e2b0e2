"""`dms profile` of an artifact for TDA4VM: TI's own figures where its tools ran, else the estimate, layer by layer."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def document(directory: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """What is known: delegation, latency, and for an estimate its layers and the pre-flight."""
    from dms_operator.toolchains.manifest import read_report
    from dms_operator.toolchains.tidl import Tidl
    from dms_operator.toolchains.tidl.estimate import REPORT, is_estimate

    latency = Tidl().cost(directory)
    return {
        "compiled": manifest.get("compiled", {}),
        "latency": latency.to_wire() if latency else None,
        "estimate": read_report(directory, REPORT) if is_estimate(manifest) else None,
    }


def show(found: dict[str, Any], top: int, console: Console) -> None:
    """Print it; `top` layers, the slowest first, or all of them with 0."""
    compiled, latency, estimate = found["compiled"], found["latency"], found["estimate"]
    delegation = compiled["delegation"]
    predicted = " (predicted by TI's published tables)" if estimate else ""
    console.print(f"{compiled['soc']} {compiled['architecture']}, {compiled['toolVersion']}", highlight=False)
    console.print(f"{delegation['npu']} of {delegation['total']} nodes on the C7x{predicted}")
    for node in (estimate or {}).get("preflight", {}).get("refused", []):
        console.print(f"  Arm: {node['name']} ({node['op']}): {node['reason']}", markup=False)
    if latency is None:
        console.print("No latency: TI's performance simulator priced nothing, and only TDA4VM is estimated")
        return
    bound = f", at most {latency['bound']}" if latency.get("bound") else ", no upper bound"
    console.print(f"Latency: {latency['p50']}{bound} ({latency['provenance']}: {latency['source']})", markup=False)
    console.print(latency["notes"], markup=False)
    if estimate:
        _show_layers(estimate["layers"], top, console)


def _show_layers(layers: list[dict[str, Any]], top: int, console: Console) -> None:
    table = Table(title="estimated layers; DDR traffic is known on the board alone")
    for name in ("layer", "operator", "us", "waits for", "MACs"):
        table.add_column(name, justify="right" if name in ("us", "MACs") else "left")
    for layer in sorted(layers, key=lambda row: -row["microseconds"])[: top or None]:
        cells = (layer["name"], layer["op"], f"{layer['microseconds']:.1f}", layer["waitsFor"], f"{layer['macs']:,}")
        table.add_row(*cells)
    console.print(table)
