"""Toolchain `snpe-sdk`: compile, and simulate where the SDK's tools can, over the user's own SDK."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...api.capabilities import BoardType, ToolchainName
from ...api.errors import ConversionFailed, InvalidSpec, ToolchainUnavailable, WrongTarget
from ...api.stages import CompiledFacts, LatencyFacts
from ...api.target_options.snpe_sdk import SdkOptions, parse_options
from ..base import Arrays, Compiled, Progress
from ..loading import Loading
from ..manifest import MANIFEST, read_manifest, write_manifest
from ..scratch import all_or_nothing
from . import argv
from .convert import BINARY, DLC, PIPELINES, Run, steps_of
from .generation import chosen_generation
from .inputs import INPUT_LIST, write_inputs
from .network import OVERRIDES, Network, read_network
from .outputs import read_results
from .run import run_tool
from .sdk import Generation, find_sdk

_LOADED: dict[Generation, str] = {"qairt": BINARY, "snpe": DLC}
"""The file that the board loads."""


class SnpeSdk:
    """Compiles for the HTP of Qualcomm boards by the SDK that the image mounts."""

    name: ToolchainName = "snpe-sdk"

    @property
    def version(self) -> str:
        """Name and version of the SDK. Raises ToolchainUnavailable."""
        return f"QAIRT SDK {find_sdk().version}"

    def convert(
        self, model: Path, board: BoardType, options: Mapping[str, str], workdir: Path, progress: Progress
    ) -> Compiled:
        """Write `model.dlc` (and `model.bin`), the overrides and the manifest; on failure, nothing.

        Raises ToolchainUnavailable, InvalidSpec, UnsupportedOperators, ConversionFailed, WrongTarget,
        ConverterKilled, StoreFull.
        """
        sdk, chosen = find_sdk(), parse_options(options, board)
        generation = chosen_generation(chosen, sdk)
        network = _checked_network(model, chosen)
        steps = steps_of(generation, quantized=network.split.quantized)
        with all_or_nothing(workdir) as scratch:
            network.write(scratch)
            run = Run(sdk, network, chosen.shared, scratch, chosen.shared.timeout_seconds, progress, steps)
            names, delegation = PIPELINES[generation](run)
            kept = [*names, *([OVERRIDES] if network.overrides else [])]
            files = {name: (scratch / name).rename(workdir / name) for name in kept}
            facts = CompiledFacts(
                toolchain=self.name,
                tool_version=f"QAIRT SDK {sdk.version}, {generation} tools",
                soc=chosen.shared.soc.name,
                architecture=f"v{chosen.shared.soc.architecture}",
                delegation=delegation,
                size_bytes=files[_LOADED[generation]].stat().st_size,
            )
            details = _details(generation, network)
            files[MANIFEST] = write_manifest(workdir, facts, model, board, options, files, **details)
        progress("convert", steps, steps)
        return Compiled(files, facts)

    def has_target(self, board: BoardType) -> bool:
        """Never: the SDK's programs time themselves (`board`), they cannot be called query by query."""
        return False

    def loading(self, compiled: Path) -> Loading:
        """Raise ToolchainUnavailable: on the board, toolchain qnn runs the same binary query by query."""
        raise ToolchainUnavailable(
            "the SDK's programs cannot be timed query by query", hint="Benchmark on the board with toolchain qnn"
        )

    def simulate(
        self, compiled: Path, samples: Sequence[Arrays], workdir: Path, progress: Progress
    ) -> list[Arrays] | None:
        """Run the samples on the SDK's HTP simulator for x86; None for a DLC, which only a board's HTP runs."""
        manifest = read_manifest(compiled)
        if manifest["generation"] != "qairt":
            return None
        sdk, chosen = find_sdk(), _options(manifest)
        with all_or_nothing(workdir) as scratch:
            shutil.copyfile(compiled / BINARY, scratch / BINARY)
            count = write_inputs(scratch, manifest["inputs"], samples)
            progress("simulate", 0, count)
            backend = str(sdk.library("libQnnHtp.so"))
            command = argv.qnn_net_run(backend, BINARY, INPUT_LIST, chosen.shared.performance_mode)
            run_tool(sdk, command, scratch, chosen.shared.timeout_seconds)
            results, shapes = scratch / "output", manifest["outputs"]
            outputs: list[Arrays] = [read_results(results, number, shapes) for number in range(count)]
        progress("simulate", count, count)
        return outputs

    def cost(self, compiled: Path) -> LatencyFacts | None:
        """None: the SDK's tools print no cost model."""
        return None


def _checked_network(model: Path, chosen: SdkOptions) -> Network:
    network = read_network(model)
    if not chosen.shared.soc.fp16 and not network.split.quantized:
        title = chosen.shared.soc.title
        raise InvalidSpec(f"the HTP of {title} computes integers only", hint="Use precision int8 for this board")
    return network


def _details(generation: Generation, network: Network) -> dict[str, Any]:
    return {
        "generation": generation,
        "inputs": {name: list(shape) for name, shape in network.inputs.items()},
        "outputs": {name: list(shape) for name, shape in network.outputs.items()},
        "bindingReadBack": generation == "qairt",
    }


def _options(manifest: Mapping[str, Any]) -> SdkOptions:
    chosen = parse_options(manifest["options"], manifest["board"])
    compiled = manifest["compiled"]["soc"]
    if compiled != chosen.shared.soc.name:
        raise WrongTarget(f"the artifact was compiled for {compiled}, the board carries {chosen.shared.soc.name}")
    if DLC not in manifest["files"]:
        raise ConversionFailed(f"the compiled artifact has no {DLC}")
    return chosen
