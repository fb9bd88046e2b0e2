"""Forms of `quantization.static` that cannot be made for a toolchain, known before any stage runs."""

from collections.abc import Callable
from dataclasses import dataclass

from .capabilities import TOOLCHAINS, Precision, ToolchainName
from .quantization import StaticForm


@dataclass(frozen=True)
class Lack:
    """A form that is not made, and what to change."""

    toolchain: ToolchainName | None
    """None: all of them."""
    asked: Callable[[StaticForm], bool]
    words: str


_INT8_LACKS = (
    Lack(
        "onnxruntime",
        lambda form: form.mixed or form.activation_bits == 16,
        f"{TOOLCHAINS['onnxruntime'].title} has kernels for 8-bit activations alone: "
        "leave out quantization.static.mixed and activationBits: 16",
    ),
    Lack(
        "tidl",
        lambda form: bool(form.per_channel) or form.symmetric_activations is False or form.rounding == "learned",
        "TIDL's scales are powers of two, one for a tensor, symmetric and not learned: "
        "leave out quantization.static.perChannel, symmetricActivations and rounding",
    ),
    Lack(
        None,
        lambda form: form.mixed and form.activation_bits == 16,
        "where all activations of int8 have 16 bits, mixed has nothing left to widen: "
        "leave out quantization.static.mixed, or activationBits",
    ),
)


def lack_of(toolchain: ToolchainName, precision: Precision, form: StaticForm) -> str | None:
    """Why a form of a precision is not made for a toolchain, and what to change; None where it is made.

    int4 is Qualcomm's alone, whose compilers take every form of it; float has none.
    """
    if precision != "int8":
        return None
    concerned = (each for each in _INT8_LACKS if each.toolchain in (None, toolchain))
    return next((each.words for each in concerned if each.asked(form)), None)
