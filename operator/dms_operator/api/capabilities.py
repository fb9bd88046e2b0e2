"""Which board takes which precision by which toolchain: one table for admission, planner and pipeline.

Sources: Qualcomm QNN SDK headers (`QnnTypes.h` SoC ids), HTP operator notes, TI TIDL documentation
(J721E supports 8 and 16 bit fixed point only). docs/architecture.md explains each row.
"""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "fp16", "int8", "int4"]
ToolchainName = Literal["qnn", "snpe-sdk", "tidl", "onnxruntime"]
BoardType = Literal[
    "qcs8255",
    "sa8255",
    "sa8775",
    "qcs9100",
    "sa8295",
    "sa8540",
    "sa8797",
    "qcs8300",
    "qcs8550",
    "qcs6490",
    "tda4vm",
    "generic-arm64",
    "generic-x86",
]

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int4")


@dataclass(frozen=True)
class Board:
    """A board type; `toolchains[0]` is the default."""

    name: BoardType
    title: str
    soc: str
    toolchains: tuple[ToolchainName, ...]


@dataclass(frozen=True)
class Toolchain:
    """What a toolchain can put on its hardware; `baseline` precisions run on the host only."""

    name: ToolchainName
    title: str
    deployable: tuple[Precision, ...]
    refusals: dict[Precision, str]


BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board("qcs8255", "Qualcomm QCS8255", "SA8255", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("sa8255", "Qualcomm SA8255", "SA8255", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("sa8775", "Qualcomm SA8775P", "QCS9100", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("qcs9100", "Qualcomm QCS9100, QCS9075, IQ-9075", "QCS9100", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("sa8295", "Qualcomm SA8295P", "SA8295", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("sa8540", "Qualcomm SA8540P", "SA8540", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("sa8797", "Qualcomm SA8797P", "SA8797", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("qcs8300", "Qualcomm QCS8300, QCS8275, IQ-8275", "QCS8300", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("qcs8550", "Qualcomm QCS8550", "QCS8550", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("qcs6490", "Qualcomm QCS6490", "QCS6490", ("qnn", "snpe-sdk", "onnxruntime")),
        Board("tda4vm", "TI TDA4VM", "J721E", ("tidl", "onnxruntime")),
        Board("generic-arm64", "Any arm64 Linux node", "", ("onnxruntime",)),
        Board("generic-x86", "Any x86-64 Linux node", "", ("onnxruntime",)),
    )
}

_HTP_REFUSALS: dict[Precision, str] = {"fp32": "the HTP has no true fp32; an fp32 row is the host baseline"}

TOOLCHAINS: dict[str, Toolchain] = {
    toolchain.name: toolchain
    for toolchain in (
        Toolchain("qnn", "Qualcomm QNN by ONNX Runtime", ("fp16", "int8", "int4"), _HTP_REFUSALS),
        Toolchain("snpe-sdk", "Qualcomm QAIRT/SNPE SDK", ("fp16", "int8", "int4"), _HTP_REFUSALS),
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


def refusal(toolchain: str, precision: Precision) -> str | None:
    """Why a precision is refused for a toolchain, or None when it is deployable or a baseline."""
    if precision in TOOLCHAINS[toolchain].deployable or is_baseline(toolchain, precision):
        return None
    return TOOLCHAINS[toolchain].refusals[precision]
