"""Toolchain `tidl`: TI Deep Learning for the C7x/MMA of Jacinto 7 chips, TDA4VM first."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...api.capabilities import BoardType, ToolchainName
from ...api.errors import ConversionFailed, WrongTarget
from ...api.stages import CompiledFacts, LatencyFacts
from ...api.target_options.tidl import ESTIMATE_ONLY, TidlOptions, parse_options
from ...api.target_options.tidl_socs import Soc, soc_of
from ..base import Arrays, Compiled, Progress
from ..loading import Loading
from ..manifest import read_manifest, write_manifest
from ..onnx_graph import read_graph
from . import estimate, run
from .compile import MODEL, compile_model
from .latency import VALIDATED
from .perfsim import read_costs, simulated_latency
from .preflight import check_model
from .samples import CALIBRATION_FILE, load_samples
from .tools import RELEASE_VARIABLE, TOOLS_VARIABLE, find_tools
from .wide import import_source


class Tidl:
    """Compiles by TI's ONNX Runtime provider where the image carries it; estimates where asked to."""

    name: ToolchainName = "tidl"

    @property
    def version(self) -> str:
        """Name and version of the tools that run it."""
        if not os.environ.get(TOOLS_VARIABLE):
            return "TIDL, without TI's tools"
        return f"TIDL {os.environ.get(RELEASE_VARIABLE) or 'of unknown release'}"

    def convert(
        self, model: Path, board: BoardType, options: Mapping[str, str], workdir: Path, progress: Progress
    ) -> Compiled:
        """Compile a QDQ model, or a float one with calibration samples beside it; `estimate-only` compiles nothing.

        A QDQ model with 16-bit layers needs both beside it: see `wide`.

        Raises ToolchainUnavailable, InvalidSpec, UnsupportedOperators, ConversionFailed, DatasetInvalid,
        ConverterKilled, StoreFull.
        """
        soc = soc_of(board)
        chosen = parse_options(options, soc)
        if chosen.flag(ESTIMATE_ONLY):
            return estimate.make_estimate(model, chosen, board, workdir, progress)
        return self._compile(model, board, chosen, workdir, progress)

    def _compile(
        self, model: Path, board: BoardType, options: TidlOptions, workdir: Path, progress: Progress
    ) -> Compiled:
        tools = find_tools(options.soc, workdir)
        progress("convert", 0, 3)
        source, options = import_source(model, options)
        samples = load_samples(model.with_name(CALIBRATION_FILE), options.frames)
        imported = compile_model(source, samples, options, tools, workdir, progress)
        files = dict(imported.files)
        facts = CompiledFacts(
            toolchain=self.name,
            tool_version=tools.version,
            soc=options.soc.name,
            architecture=estimate.ARCHITECTURE,
            delegation=imported.delegation,
            size_bytes=sum(path.stat().st_size for name, path in files.items() if name.endswith("_tidl_net.bin")),
        )
        files["manifest.json"] = write_manifest(
            workdir,
            facts,
            model,
            board,
            options.given,
            files,
            deployable=True,
            prequantized=imported.prequantized,
            release=tools.release,
            subgraphs=imported.subgraphs,
        )
        progress("convert", 3, 3)
        return Compiled(files, facts)

    def has_target(self, board: BoardType) -> bool:
        """Whether this machine is such a board, with TI's runtime."""
        return run.is_board(soc_of(board))

    def loading(self, compiled: Path) -> Loading:
        """Load the artifact by TI's provider. Not yet run on a board: tested against TI's documentation."""
        manifest = read_manifest(compiled)
        _soc(manifest)
        if estimate.is_estimate(manifest):
            raise ConversionFailed(
                "the artifact is an estimate: it holds nothing that a board could load",
                hint=f"Convert with TI's tools, without {ESTIMATE_ONLY}",
            )
        return Loading("tidl", MODEL)

    def simulate(
        self, compiled: Path, samples: Sequence[Arrays], workdir: Path, progress: Progress
    ) -> list[Arrays] | None:
        """TI's bit-exact PC emulation; None for an estimate, and in an image without TI's tools."""
        manifest = read_manifest(compiled)
        soc = _soc(manifest)
        if estimate.is_estimate(manifest) or not os.environ.get(TOOLS_VARIABLE):
            return None
        return run.emulate(compiled, find_tools(soc, workdir), samples, workdir, progress)

    def predict(self, compiled: Path, samples: Sequence[Arrays], progress: Progress) -> list[Arrays] | None:
        """Outputs of an estimate's fixed-point model, computed here (provenance `estimated`); else None."""
        if not estimate.is_estimate(read_manifest(compiled)):
            return None
        return estimate.predicted_outputs(compiled, list(samples), progress)

    def cost(self, compiled: Path) -> LatencyFacts | None:
        """TI's performance simulator (`simulated`) where it priced every part, else our roofline (`estimated`)."""
        manifest = read_manifest(compiled)
        soc, facts = _soc(manifest), CompiledFacts.model_validate(manifest["compiled"])
        if estimate.is_estimate(manifest):
            return estimate.read_latency(compiled)
        left = facts.delegation.total - facts.delegation.npu
        simulated = simulated_latency(read_costs(compiled), soc, int(manifest["subgraphs"]), left)
        if simulated or soc.name != VALIDATED:
            return simulated
        model, options = read_graph(compiled / MODEL), parse_options(manifest["options"], soc)
        return estimate.price_model(model, options, check_model(model), prequantized=manifest["prequantized"])[1]


def _soc(manifest: Mapping[str, Any]) -> Soc:
    soc = soc_of(manifest["board"])
    if manifest["compiled"]["soc"] != soc.name:
        raise WrongTarget(f"the artifact was compiled for {manifest['compiled']['soc']}, the board carries {soc.name}")
    return soc
