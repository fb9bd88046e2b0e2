"""Which board takes which precision by which toolchain: one table for admission, planner and pipeline.

Boards are data (`boards.toml`). Sources of the refusals: Qualcomm QNN SDK headers, HTP operator notes, TI TIDL
documentation (J721E supports 8 and 16 bit fixed point only).
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from .catalog import BOARDS, Board, Precision, ToolchainName

__all__ = [
    "BOARDS",
    "Board",
    "BoardType",
    "PRECISIONS",
    "Precision",
    "TOOLCHAINS",
    "Toolchain",
    "ToolchainName",
    "default_toolchain",
    "is_baseline",
    "precisions_of",
    "refusal",
]

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int4")


def _known(board: str) -> str:
    if board not in BOARDS:
        raise ValueError(f"there is no board {board!r}: use one of {', '.join(BOARDS)}")
    return board


BoardType = Annotated[str, AfterValidator(_known), WithJsonSchema({"enum": list(BOARDS), "type": "string"})]
"""Name of a board in the catalog."""


@dataclass(frozen=True)
class Toolchain:
    """What a toolchain can put on its hardware; `baseline` precisions run on the host only."""

    name: ToolchainName
    title: str
    deployable: tuple[Precision, ...]
    refusals: dict[Precision, str]
    off_vehicles: str = ""
    """Why no revision made by it goes to vehicles, and what to do instead; empty where it does."""


_ON_HTP: tuple[ToolchainName, ...] = ("qnn", "snpe-sdk")
_HTP_REFUSALS: dict[Precision, str] = {"fp32": "the HTP has no true fp32; an fp32 row is the host baseline"}

TOOLCHAINS: dict[str, Toolchain] = {
    toolchain.name: toolchain
    for toolchain in (
        Toolchain("qnn", "Qualcomm QNN by ONNX Runtime", ("fp16", "int8", "int4"), _HTP_REFUSALS),
        Toolchain(
            "snpe-sdk",
            "Qualcomm QAIRT/SNPE SDK",
            ("fp16", "int8", "int4"),
            _HTP_REFUSALS,
            "its programs cannot be called query by query, as a vehicle's smoke inference does: "
            "build for the same board with toolchain qnn",
        ),
        Toolchain(
            "tidl",
            "TI Deep Learning",
            ("int8",),
            {
                "fp32": "TIDL runs fixed point only; an fp32 row is the host baseline",
                "fp16": "TIDL on TDA4VM has no fp16; use int8",
                "int4": "TIDL on TDA4VM has no int4; use int8",
            },
        ),
        Toolchain(
            "onnxruntime",
            "ONNX Runtime on the CPU",
            ("fp32", "fp16", "int8"),
            {"int4": "ONNX Runtime has no int4 kernels for convolutions; use int8"},
        ),
    )
}


def default_toolchain(board: str) -> ToolchainName:
    """The toolchain that a target of this board type uses when it names none."""
    return BOARDS[board].toolchains[0]


def is_baseline(toolchain: str, precision: str) -> bool:
    """Whether the precision is allowed for comparison, but cannot be deployed by this toolchain."""
    return precision == "fp32" and precision not in TOOLCHAINS[toolchain].deployable


def refusal(toolchain: str, precision: Precision, board: str) -> str | None:
    """Why a precision is refused for a toolchain on a board, or None when it is deployable or a baseline."""
    if is_baseline(toolchain, precision):
        return None
    if precision not in TOOLCHAINS[toolchain].deployable:
        return TOOLCHAINS[toolchain].refusals[precision]
    chip = BOARDS[board].qnn
    if precision == "fp16" and toolchain in _ON_HTP and chip and not chip.fp16:
        return f"the HTP of {BOARDS[board].soc} computes integers only; use int8"
    return None


def precisions_of(board: str, toolchain: str) -> list[Precision]:
    """Precisions that a toolchain deploys to a board's hardware."""
    return [each for each in TOOLCHAINS[toolchain].deployable if refusal(toolchain, each, board) is None]
