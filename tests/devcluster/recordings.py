"""The recorded exchanges, as cases for unit tests."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ORACLE = Path(__file__).parent / "oracle"
Json = dict[str, Any]


@cache
def _text(name: str) -> str:
    return next(ORACLE.glob(f"{name}-*.json")).read_text()


def recorded(number: str) -> list[Json]:
    """The exchanges of the recording with this number (`03`)."""
    exchanges: list[Json] = json.loads(_text(number))
    return exchanges


def exchange(number: str, note: str) -> Json:
    """The exchange with this note."""
    return next(each for each in recorded(number) if each["note"] == note)


def widget_definition() -> Json:
    """The CRD that the recordings use."""
    body: Json = exchange("03", "create CRD")["request"]["body"]
    return body


def widget_version() -> Json:
    """Its only version."""
    version: Json = widget_definition()["spec"]["versions"][0]
    return version


def widget_schema() -> Json:
    """The schema of that version."""
    schema: Json = widget_version()["schema"]["openAPIV3Schema"]
    return schema


def causes(recorded_exchange: Json) -> list[tuple[str, str, str]]:
    """The causes of a recorded 422 as (field, reason, message)."""
    found = recorded_exchange["response"]["body"]["details"]["causes"]
    return [(each["field"], each["reason"], each["message"]) for each in found]


def stored_objects() -> Iterator[Json]:
    """Every object that an answer of the real server shows, single or as item of a list."""
    for path in sorted(ORACLE.glob("*.json")):
        for each in json.loads(path.read_text()):
            response = each["response"]
            yield from _objects(response.get("body"))
            for event in response.get("events", ()):
                yield from _objects(event.get("object"))


def _objects(body: Any) -> Iterator[Json]:
    if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
        return
    if "items" in body and body["kind"].endswith("List"):
        for item in body["items"]:
            yield {"kind": body["kind"].removesuffix("List"), "apiVersion": body["apiVersion"], **copy.deepcopy(item)}
    elif "uid" in body["metadata"] and body.get("kind") != "PartialObjectMetadata":
        yield copy.deepcopy(body)
