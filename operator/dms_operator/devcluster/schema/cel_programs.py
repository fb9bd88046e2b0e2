"""Compiling and running CEL, through cel-expr-python (Google's C++ implementation)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings
from google.protobuf.descriptor_pool import DescriptorPool


class CompileError(ValueError):
    """An expression that does not compile; the message is the compiler's."""


class EvaluationError(ValueError):
    """An expression that failed while it ran, like a missing key."""


_STRINGS = 2
"""Version of the strings library; `reverse` came with 3, which Kubernetes has not."""
_ORDERS = {"_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals"}


def environment(variables: Mapping[str, cel.Type]) -> cel.Env:
    """An environment with the extensions that Kubernetes enables as well."""
    return cel.NewEnv(variables=dict(variables), extensions=_extensions())


def checking(variables: Mapping[str, cel.Type], pool: DescriptorPool) -> cel.Env:
    """An environment in which types are checked and nothing runs.

    Kubernetes orders integers against doubles (`cel.CrossTypeNumericComparisons`), which is an option of the Go library
    alone: here the orders are declared once more, for which the library would not find code.
    """
    orders = cel.CelExtension("orders", [_order(operator, name) for operator, name in _ORDERS.items()])
    return cel.NewEnv(pool, variables=dict(variables), extensions=[*_extensions(), orders])


def _extensions() -> list[cel.CelExtensionBase]:
    return [ext_strings.ExtStrings(_STRINGS), ext_optional.ExtOptional()]


def _order(operator: str, name: str) -> cel.FunctionDecl:
    integer, double = cel.Type.INT, cel.Type.DOUBLE
    mixed = {f"{name}_int64_double": [integer, double], f"{name}_double_int64": [double, integer]}
    return cel.FunctionDecl(operator, [cel.Overload(label, cel.Type.BOOL, sides) for label, sides in mixed.items()])


@lru_cache(maxsize=1)
def running() -> cel.Env:
    """The environment in which rules run."""
    return environment({"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})


def runnable(expression: str) -> cel.Expression:
    """The program of an expression that was checked before; raises CompileError where it cannot be parsed."""
    try:
        return running().compile(expression, disable_check=True)
    except RuntimeError as error:
        raise CompileError(_compiler_message(str(error))) from error


def compiled(env: cel.Env, expression: str, result: cel.Type) -> cel.Expression:
    """The program; raises CompileError, also when it gives something else than `result`."""
    program = checked(env, expression)
    actual = program.return_type()
    if actual not in (result, cel.Type.DYN):
        raise CompileError(f"must evaluate to a {result.name().lower()}, not {actual.name().lower()}")
    return program


def checked(env: cel.Env, expression: str) -> cel.Expression:
    """The program, whatever it gives; raises CompileError."""
    try:
        return env.compile(expression)
    except RuntimeError as error:
        raise CompileError(_compiler_message(str(error))) from error


def _compiler_message(text: str) -> str:
    return text.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")


def run(program: cel.Expression, activation: cel.Activation) -> Any:
    """The plain result; raises EvaluationError (the library gives runtime errors back as values)."""
    result = program.eval(activation)
    if result.type() == cel.Type.ERROR:
        raise EvaluationError(_runtime_message(str(result.value())))
    return result.plain_value()


def _runtime_message(text: str) -> str:
    """cel-go's words for the common cases."""
    _, _, detail = text.partition(": ")
    if detail.startswith("Key not found in map : "):
        return "no such key: " + detail.removeprefix("Key not found in map : ").strip('"')
    if detail.startswith("No matching overloads found"):
        return "no such overload"
    return detail or text
