"""What can be said of a model on TDA4VM without any of TI's tools: an artifact of figures, marked not deployable.

It holds the pre-flight (predicted delegation), the fixed-point model (whose accuracy is the predicted one) and the
estimated latency. No file in it is one that a board loads.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from ...api.errors import ConversionFailed
from ...api.stages import CompiledFacts, LatencyFacts
from ...api.target_options.tidl import TidlOptions
from ..base import Arrays, Compiled, Progress
from ..manifest import write_manifest
from ..onnx_graph import read_graph
from .compile import MODEL, prepare
from .latency import Priced, estimate, facts
from .layers import layers_of
from .predict import predict
from .preflight import Preflight
from .wide import wide_outputs

REPORT = "estimate.json"
TOOL_VERSION = "estimate only, no TI tools ran"
ARCHITECTURE = "C7x/MMA"
_SHOWN_LAYERS = 1000


def make_estimate(source: Path, options: TidlOptions, board: str, directory: Path, progress: Progress) -> Compiled:
    """Write the report, the model as TI's tools would read it, and a manifest with `deployable: false`.

    Raises UnsupportedOperators, ConversionFailed, InvalidSpec.
    """
    progress("estimate", 0, 1)
    ready, preflight, prequantized = prepare(read_graph(source), options)
    priced, latency = price_model(ready, options, preflight, prequantized=prequantized)
    compiled = CompiledFacts(
        toolchain="tidl",
        tool_version=TOOL_VERSION,
        soc=options.soc.name,
        architecture=ARCHITECTURE,
        delegation=preflight.delegation,
        size_bytes=0,  # there is no file that a board could load
        deployable=False,
    )
    onnx.save_model(ready, directory / MODEL)
    (directory / REPORT).write_text(json.dumps(_report(preflight, priced, latency), indent=2, sort_keys=True) + "\n")
    files = {name: directory / name for name in (MODEL, REPORT)}
    files["manifest.json"] = write_manifest(
        directory, compiled, source, board, options.given, files, deployable=False, prequantized=prequantized
    )
    progress("estimate", 1, 1)
    return Compiled(files, compiled)


def price_model(
    model: onnx.ModelProto, options: TidlOptions, preflight: Preflight, *, prequantized: bool
) -> tuple[list[Priced], LatencyFacts]:
    """Layer by layer, and in sum; nodes that TIDL leaves to the Arm cores have no price."""
    left = {node.name for node in preflight.refused}
    layers = [layer for layer in layers_of(model) if layer.name not in left]
    bits = 8 if prequantized else int(options["tensor-bits"])
    wide = frozenset(name.strip() for name in options["output-16bit-names"].split(",") if name.strip())
    wide |= wide_outputs(model)
    priced = estimate(layers, bits, wide)
    return priced, facts(options.soc, priced, len(preflight.refused), wide=bits == 16 or bool(wide))


def predicted_outputs(compiled: Path, samples: list[Arrays], progress: Progress) -> list[Arrays]:
    """Outputs of the fixed-point model on this machine. Raises ConversionFailed for a float model."""
    model = read_graph(compiled / MODEL)
    if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ConversionFailed("the model is float: there is no fixed-point arithmetic to predict")
    return list(predict(model, samples, progress))


def is_estimate(manifest: Mapping[str, Any]) -> bool:
    """Whether a compiled directory is figures alone."""
    return manifest.get("deployable") is False


def read_latency(compiled: Path) -> LatencyFacts:
    """The estimate in a directory. Raises ConversionFailed."""
    try:
        return LatencyFacts.model_validate(json.loads((compiled / REPORT).read_text())["latency"])
    except (OSError, ValueError, KeyError) as error:
        raise ConversionFailed(f"the estimate has no readable {REPORT}") from error


def _report(preflight: Preflight, priced: list[Priced], latency: LatencyFacts) -> dict[str, Any]:
    return {
        "deployable": False,
        "preflight": preflight.document(),
        "latency": latency.to_wire(),
        "layers": [
            {
                "name": each.layer.name,
                "op": each.layer.op,
                "macs": each.layer.macs,
                "microseconds": round(each.seconds * 1e6, 2),
                "waitsFor": each.bound,
            }
            for each in priced[:_SHOWN_LAYERS]
        ],
    }
