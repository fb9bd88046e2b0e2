"""From a tool's words to one error in the domain's: the tool's own line, and what to do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...api.errors import ConversionFailed, DMSError, ToolchainUnavailable, UnsupportedOperators
from ..endings import cause_outside, signal_of

_ERROR_LINE = re.compile(r"\b(error|exception|failed|fail|fatal|cannot|unable|unrecognized|invalid)\b", re.IGNORECASE)
_LONGEST = 400


@dataclass(frozen=True)
class _Known:
    """A pattern in a tool's output, the error that it means, and the hint."""

    pattern: re.Pattern[str]
    kind: type[DMSError]
    hint: str


def _known(pattern: str, kind: type[DMSError], hint: str) -> _Known:
    return _Known(re.compile(pattern, re.IGNORECASE), kind, hint)


_KNOWN = (
    _known(
        r"No translation registered for op type|Op type \S+ is not supported|is not supported by the converter",
        UnsupportedOperators,
        "Replace the operator in the model, or cut it out of the graph",
    ),
    _known(
        r"failed to validate op|op validation failed|validateNativeOps|not supported (on|by) (HTP|DSP|backend)",
        UnsupportedOperators,
        "The HTP refuses this operator as it is: change its precision or its shape, or replace it",
    ),
    _known(r"opset.*(not supported|unsupported)|unsupported.*opset", ConversionFailed, "Export with opset 20 or older"),
    _known(
        r"error while loading shared libraries|cannot open shared object file|GLIBC\w* ?.* not found",
        ToolchainUnavailable,
        "The image lacks what the SDK needs: run its bin/check-linux-dependency.sh in the image",
    ),
    _known(
        r"No module named|ModuleNotFoundError|ImportError",
        ToolchainUnavailable,
        "The image lacks what the SDK needs: run its bin/check-python-dependency in the image",
    ),
    _known(
        r"unrecognized arguments?|unknown (option|argument|flag)|unrecognized option",
        ToolchainUnavailable,
        "This SDK version does not know the option: mount another one",
    ),
    _known(
        r"licen[cs]e\b.{0,40}\b(not|no|invalid|expired|required|fail|checkout)|unauthorized",
        ToolchainUnavailable,
        "The SDK asks for its licence",
    ),
)


def tool_error(tool: str, returncode: int, lines: Sequence[str]) -> DMSError:
    """The error of a tool that ended with a code other than 0."""
    if outside := cause_outside(tool, returncode, lines):
        return outside
    for known in _KNOWN:
        line = next((line for line in lines if known.pattern.search(line)), None)
        if line is not None:
            return known.kind(f"{tool}: {_shortened(line)}", hint=known.hint)
    killed = signal_of(returncode)
    ending = f"crashed by {killed.name}" if killed else f"exited with code {returncode}"
    return ConversionFailed(f"{tool} {ending}: {_shortened(_telling(lines))}")


def _telling(lines: Sequence[str]) -> str:
    """The last line that names an error, else the last line."""
    naming = [line for line in lines if _ERROR_LINE.search(line)]
    return (naming or list(lines) or ["it printed nothing"])[-1]


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
