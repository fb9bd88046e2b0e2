"""Replays recorded exchanges through real HTTP and compares the answers as oracle/README.md says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

ORACLE = Path(__file__).parent / "oracle"
Exchange = dict[str, Any]
Key = tuple[str, int]
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
_AGE = re.compile(r"^(<invalid>|(\d+[smhdy])+)$")
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_POLL_SECONDS = 0.05
_DEADLINE_SECONDS = 10.0


def load(name: str) -> list[Exchange]:
    """The exchanges of one recording."""
    exchanges: list[Exchange] = json.loads((ORACLE / f"{name}.json").read_text())
    return exchanges


@dataclass
class Outcome:
    """What was expected and what came, in comparable form."""

    expected: Any
    actual: Any


@dataclass
class Replay:
    """One client that remembers how recorded uids, versions, names and tokens are called here."""

    session: aiohttp.ClientSession
    url: str
    here: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    collections: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None, merge: bool = False) -> Any:
        """A request that was made but not recorded."""
        content_type = "application/merge-patch+json" if merge else "application/json"
        headers = {"Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        async with self.session.request(method, self.url + path, data=data, headers=headers) as response:
            assert response.ok, await response.text()
            return await response.json()

    async def exchange(
        self, recorded: Exchange, during: Callable[[], Awaitable[None]] | None = None, awaited: bool = False
    ) -> Outcome:
        """Send one request again; when `awaited`, ask again while a controller may still have to act."""
        response = recorded["response"]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DEADLINE_SECONDS
        while True:
            answer = await self._send(recorded, during)
            known = dict(self.here), dict(self.versions)
            self._learn(response.get("body"), answer.get("body"))
            for ours, theirs in zip(answer.get("events", ()), response.get("events", ()), strict=False):
                self._learn(theirs, ours)
            outcome = self._compare(recorded, answer)
            if outcome.expected == outcome.actual or not awaited or loop.time() > deadline:
                return outcome
            self.here, self.versions = known
            await asyncio.sleep(_POLL_SECONDS)

    async def _send(self, recorded: Exchange, during: Callable[[], Awaitable[None]] | None) -> Exchange:
        request = recorded["request"]
        query = dict(request.get("query") or {})
        if "timeoutSeconds" in query:  # waiting longer shows nothing more; a bookmark comes 2 s before the end
            query["timeoutSeconds"] = "3" if "allowWatchBookmarks" in query and during else "1"
        if "resourceVersion" in query:
            version = query["resourceVersion"]
            query["resourceVersion"] = {**self.collections, **self.versions}.get(version, version)
        query = {name: self._translated(value) for name, value in query.items()}
        url, headers = (
            self.url + self._translated(request["path"]),
            {"User-Agent": "python-httpx/0", **request.get("headers", {})},
        )
        async with self.session.request(
            request["method"], url, params=query, headers=headers, data=self._body(request)
        ) as response:
            background = asyncio.ensure_future(during()) if during else None
            text = await response.text()
            if background:
                await background
            return _answer(response, text, "events" in recorded["response"])

    def _body(self, request: Exchange) -> str | None:
        body = request.get("body")
        if body is None or isinstance(body, str):
            return body
        return json.dumps(self._versioned(json.loads(self._translated(json.dumps(body)))))

    def _translated(self, text: str) -> str:
        for theirs, ours in self.here.items():
            text = text.replace(theirs, ours)
        return text

    def _versioned(self, body: Any) -> Any:
        if not isinstance(body, dict) or "metadata" not in body:
            return body
        metadata = {name: value for name, value in body["metadata"].items() if name != "creationTimestamp"}
        if "resourceVersion" in metadata:
            version = metadata["resourceVersion"]
            metadata["resourceVersion"] = self.versions.get(version, version)
        return {**body, "metadata": metadata}

    def _learn(self, theirs: Any, ours: Any) -> None:
        """Pair recorded and present uids, versions, generated names and tokens, wherever both have them."""
        if isinstance(theirs, list) and isinstance(ours, list):
            for left, right in zip(theirs, ours, strict=False):
                self._learn(left, right)
        if not isinstance(theirs, dict) or not isinstance(ours, dict):
            return
        names = ("uid", "continue", "name") if "generateName" in theirs else ("uid", "continue")
        for name in names:
            if _are_texts(theirs.get(name), ours.get(name)):
                self.here[theirs[name]] = ours[name]
        if _are_texts(theirs.get("resourceVersion"), ours.get("resourceVersion")):
            self._learn_version(theirs["resourceVersion"], ours["resourceVersion"])
        for name in theirs.keys() & ours.keys():
            if name == "metadata" and _is_collection(theirs):
                self._learn({"continue": theirs[name].get("continue")}, {"continue": ours[name].get("continue")})
                self.collections[theirs[name]["resourceVersion"]] = ours[name].get("resourceVersion", "")
            else:
                self._learn(theirs[name], ours[name])

    def _learn_version(self, theirs: str, ours: str) -> None:
        """One to one: so a version that should have stayed, or changed, shows."""
        if theirs not in self.versions and ours not in self.versions.values():
            self.versions[theirs] = ours

    def _compare(self, recorded: Exchange, answer: Exchange) -> Outcome:
        expected = {name: recorded["response"].get(name) for name in ("code", "contentType", "warning")}
        actual = {name: answer.get(name) for name in ("code", "contentType", "warning")}
        back = {ours: theirs for theirs, ours in self.here.items()}
        versions = {ours: theirs for theirs, ours in self.versions.items()}
        tracked = "managedFields" in json.dumps(recorded["response"])
        for part in ("body", "events"):
            expected[part] = _plain(_anonymous(recorded, recorded["response"].get(part)), {}, {}, tracked)
            actual[part] = _plain(_anonymous(recorded, answer.get(part)), back, versions, tracked)
        return Outcome(expected, actual)


def _answer(response: aiohttp.ClientResponse, text: str, watching: bool) -> Exchange:
    content_type = response.headers.get("Content-Type", "")
    warning = response.headers.getall("Warning", []) or None
    answer: Exchange = {"code": response.status, "contentType": content_type, "warning": warning}
    if watching and response.status == 200:
        return {**answer, "events": [json.loads(line) for line in text.splitlines()]}
    try:
        return {**answer, "body": json.loads(text)}
    except json.JSONDecodeError:
        return {**answer, "body": text}


def _anonymous(recorded: Exchange, value: Any) -> Any:
    """Names generated from a prefix lose their random end, also within messages."""
    body = recorded["request"].get("body")
    prefix = (body.get("metadata") or {}).get("generateName") if isinstance(body, dict) else None
    if not prefix or value is None:
        return value
    # Where a name begins: `e-` stands within many a uid, too.
    generated = rf"(?<![\w-]){re.escape(prefix)}[{_ALPHABET}]{{5}}"
    return json.loads(re.sub(generated, f"{prefix}*****", json.dumps(value)))


def _are_texts(*values: Any) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _is_collection(value: Mapping[str, Any]) -> bool:
    """A list or table: its version is the whole store's, which others write to as well."""
    return ("items" in value or "rows" in value) and "resourceVersion" in (value.get("metadata") or {})


def _plain(value: Any, back: Mapping[str, str], versions: Mapping[str, str], tracked: bool) -> Any:
    """A value without what the README says is not to be compared."""
    if isinstance(value, dict):
        return _plain_object(value, back, versions, tracked)
    if isinstance(value, list):
        return [_plain(part, back, versions, tracked) for part in value]
    return _plain_text(value, back) if isinstance(value, str) else value


def _plain_object(value: Mapping[str, Any], back: Mapping[str, str], versions: Mapping[str, str], tracked: bool) -> Any:
    if _is_collection(value):
        value = {**value, "metadata": {**value["metadata"], "resourceVersion": "<any>"}}
    if value.get("type") == "BOOKMARK":
        return {"type": "BOOKMARK", "metadata": {**value["object"]["metadata"], "resourceVersion": "<any>"}}
    left_out = {"storageVersionHash"} | (set() if tracked else {"managedFields"})
    kept = {name: part for name, part in value.items() if name not in left_out}
    return {name: _field(name, part, back, versions, tracked) for name, part in kept.items()}


def _plain_text(value: str, back: Mapping[str, str]) -> str:
    if _TIME.match(value):
        return "<time>"
    if _AGE.match(value):
        return "<age>"
    for ours, theirs in back.items():
        value = value.replace(ours, theirs)
    return value


def _field(name: str, value: Any, back: Mapping[str, str], versions: Mapping[str, str], tracked: bool) -> Any:
    if name == "resourceVersion" and isinstance(value, str):
        return versions.get(value, value)
    if name == "description" and isinstance(value, str):
        return ""
    return _plain(value, back, versions, tracked)
