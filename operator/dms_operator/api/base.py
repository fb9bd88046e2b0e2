"""The base of every API type: camelCase on the wire, frozen in Python, unknown fields refused."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from .patterns import NAME, WORDS

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""Content digest, `sha256:<64 hex digits>`."""

Name = Annotated[str, StringConstraints(pattern=NAME, max_length=40)]
"""A DNS label of at most 40 characters: it becomes part of Job names and labels."""


class Model(BaseModel):
    """Frozen pydantic model with camelCase field names on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON value with camelCase names and without unset optional (None) fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Observed(Model):
    """A model read back from the cluster or the store: fields that a newer version wrote are ignored."""

    model_config = ConfigDict(extra="ignore")


def problems(error: ValidationError, root: str = "") -> str:
    """What pydantic found, on one line: five problems at most, each with the path of its field below `root`."""
    return "; ".join(_problem(detail, root) for detail in error.errors(include_url=False)[:5])


def _problem(detail: Any, root: str) -> str:
    path = ".".join(str(part) for part in (root, *detail["loc"]) if part != "")
    text = WORDS.get(detail.get("ctx", {}).get("pattern")) or detail["msg"].removeprefix("Value error, ")
    return f"{path}: {text}" if path else text


def canonical_json(value: Any) -> bytes:
    """Encode a JSON value so that equal values give equal bytes (sorted keys, no white space)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(value: Any) -> str:
    """Digest of a JSON value, `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()
