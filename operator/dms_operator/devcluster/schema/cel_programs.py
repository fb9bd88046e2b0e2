"""Compiling and running CEL, through cel-expr-python (Google's C++ implementation)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_math, ext_optional, ext_strings
from google.protobuf.descriptor_pool import DescriptorPool


class CompileError(ValueError):
    """An expression that does not compile; the message is the compiler's."""


class EvaluationError(ValueError):
    """An expression that failed while it ran, like a missing key."""


def environment(variables: Mapping[str, cel.Type], pool: DescriptorPool | None = None) -> cel.Env:
    """An environment with the extensions that Kubernetes enables as well."""
    extensions = [
        ext_strings.ExtStrings(),
        ext_optional.ExtOptional(),
        ext_bindings.ExtBindings(),
        ext_math.ExtMath(),
    ]
    return cel.NewEnv(pool, variables=dict(variables), extensions=extensions)


@lru_cache(maxsize=1)
def untyped() -> cel.Env:
    """The environment in which rules run: types were checked when the definition was accepted."""
    return environment({"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})


def compiled(env: cel.Env, expression: str, result: cel.Type) -> cel.Expression:
    """The program; raises CompileError, also when it gives something else than `result`."""
    try:
        program = env.compile(expression)
    except RuntimeError as error:
        raise CompileError(_compiler_message(str(error))) from error
    actual = program.return_type()
    if actual not in (result, cel.Type.DYN):
        raise CompileError(f"must evaluate to a {result.name().lower()}, not {actual.name().lower()}")
    return program


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
