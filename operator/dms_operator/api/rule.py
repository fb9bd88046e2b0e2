"""One CEL rule of the CRD."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One `x-kubernetes-validations` entry."""

    rule: str
    message: str

    def to_wire(self) -> dict[str, str]:
        """As it stands in the CRD."""
        return {"rule": self.rule, "message": self.message}


def quoted(names: Iterable[str]) -> str:
    """A CEL list of strings."""
    return "[" + ", ".join(f"'{name}'" for name in names) + "]"
