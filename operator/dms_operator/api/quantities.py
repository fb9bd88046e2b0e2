"""Quantities with units, as users write them: `50ms`, `1000mW`. A bare number is refused."""

import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Quantity(str):
    """A number with one of a fixed set of units; compares by text, use `.value` for arithmetic."""

    UNITS: ClassVar[dict[str, float]] = {}
    EXAMPLE: ClassVar[str] = ""

    @classmethod
    def pattern(cls) -> str:
        """Regular expression of the accepted text."""
        return rf"^[0-9]{{1,9}}(\.[0-9]{{1,6}})?({'|'.join(cls.UNITS)})$"

    @classmethod
    def parse(cls, text: object) -> Self:
        """Check the text; raises ValueError that says what to write instead."""
        if not isinstance(text, str) or not re.fullmatch(cls.pattern(), text):
            raise ValueError(f"{text!r} needs a unit, one of {', '.join(cls.UNITS)}: write for example {cls.EXAMPLE}")
        return cls(text)

    @property
    def value(self) -> float:
        """The quantity in its base unit (seconds, watts)."""
        number = re.match(r"[0-9.]+", self)
        assert number is not None
        return float(number.group()) * self.UNITS[self[number.end() :]]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": cls.pattern(), "maxLength": 20}


ABOVE_ZERO = "x-above-zero"
"""Marks a quantity's schema, of which the CRD makes a rule."""


@dataclass(frozen=True)
class AboveZero:
    """Annotation of a quantity that nothing could keep if it were 0; `advice` says what to do instead."""

    advice: str

    @property
    def problem(self) -> str:
        """What is told of a 0."""
        return f"0 can never be kept: {self.advice}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {ABOVE_ZERO: self.problem}

    def _checked(self, quantity: Quantity) -> Quantity:
        if quantity.value <= 0:
            raise ValueError(self.problem)
        return quantity


class Duration(Quantity):
    """A time span such as `50ms`; `.value` is seconds."""

    UNITS: ClassVar[dict[str, float]] = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    EXAMPLE: ClassVar[str] = "50ms"

    @classmethod
    def of_seconds(cls, seconds: float) -> Self:
        """The span in milliseconds, rounded to one microsecond (the resolution that we report)."""
        return cls.parse(f"{seconds * 1e3:.3f}ms")


class Power(Quantity):
    """A power such as `1000mW`; `.value` is watts."""

    UNITS: ClassVar[dict[str, float]] = {"uW": 1e-6, "mW": 1e-3, "W": 1.0}
    EXAMPLE: ClassVar[str] = "800mW"

    @classmethod
    def of_watts(cls, watts: float) -> Self:
        """The power in milliwatts, rounded to one milliwatt."""
        return cls.parse(f"{watts * 1e3:.0f}mW")


class Energy(Quantity):
    """An energy such as `1.25mJ`; `.value` is joules."""

    UNITS: ClassVar[dict[str, float]] = {"uJ": 1e-6, "mJ": 1e-3, "J": 1.0}
    EXAMPLE: ClassVar[str] = "5mJ"

    @classmethod
    def of_joules(cls, joules: float) -> Self:
        """The energy in millijoules, rounded to one microjoule."""
        return cls.parse(f"{joules * 1e3:.3f}mJ")


class Share(Quantity):
    """A share such as `10%`; `.value` is a ratio."""

    UNITS: ClassVar[dict[str, float]] = {"%": 0.01}
    EXAMPLE: ClassVar[str] = "10%"


class Memory(Quantity):
    """An amount of memory such as `64Mi`; `.value` is bytes."""

    UNITS: ClassVar[dict[str, float]] = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
    EXAMPLE: ClassVar[str] = "64Mi"

    @classmethod
    def of_bytes(cls, size: float) -> Self:
        """The amount in kibibytes, rounded up."""
        return cls.parse(f"{math.ceil(size / 2**10)}Ki")
