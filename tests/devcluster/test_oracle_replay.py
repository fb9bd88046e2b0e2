"""What a real Kubernetes answered, asked again of the dev cluster (recordings 01 to 10, in their order)."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from devcluster.replay import Exchange, Key, Outcome, Replay, load
from devcluster.running import Running, existing

FILES = (
    "01-discovery",
    "02-namespaces",
    "03-crd",
    "04-validation",
    "05-crud",
    "06-server-side-apply",
    "07-lists",
    "08-watches",
    "09-deletion",
    "10-builtins",
)
WIDGETS = "/apis/demo.example/v1/namespaces/oracle/widgets"
CONFIGMAPS = "/api/v1/namespaces/oracle/configmaps"

# Parts of an answer that are not compared, with the reason.
EXCEPTIONS: dict[Key, tuple[str, str]] = {
    ("01-discovery", 0): ("body.gitCommit body.goVersion body.compiler", "we are not built with Go"),
    ("01-discovery", 1): ("body.serverAddressByClientCIDRs", "an address"),
    ("03-crd", 3): ("body.message body.details", "wording of a CEL compile error"),
    ("03-crd", 6): ("body", "an OpenAPI document good enough for kubectl, not the same: see test_kubectl"),
}
UNIMPORTANT = {"freshness", "subresources", "version"}  # may be there on one side only
# Answers that a controller brings about: asked again until they are as recorded.
AWAITED = {("09-deletion", 14), ("09-deletion", 15), ("09-deletion", 18), ("09-deletion", 21), ("10-builtins", 16)}
# What the dev cluster does not serve is left out of recorded discovery: the rest has to be the same.
SERVED_PART = {("01-discovery", index) for index in (2, 3, 5, 15, 16, 17)}


def _widget(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "demo.example/v1",
        "kind": "Widget",
        "metadata": {"name": name, **metadata},
        "spec": {"size": 1},
    }


class Recording:
    """What was done beside the recorded requests, and where the recorder kept a later state of a body."""

    def __init__(self, replay: Replay, cluster: Running) -> None:
        self._replay = replay
        self._cluster = cluster
        self.before: dict[Key, Callable[[], Awaitable[None]]] = {
            ("07-lists", 0): self._create_labelled,
            ("08-watches", 1): self._write_once,
            ("09-deletion", 14): self._collect,
            ("09-deletion", 17): self._own_configmap,
            ("10-builtins", 10): self._node_is_dressed,
        }
        self.during: dict[Key, Callable[[], Awaitable[None]]] = {
            ("08-watches", 0): self._life_of_w1,
            ("08-watches", 1): self._leave_and_return,
        }

    def corrected(self, key: Key, recorded: Exchange) -> Exchange:
        """The exchange as it was when it was made."""
        fixed = copy.deepcopy(recorded)
        if key == ("05-crud", 0):
            fixed["response"]["body"]["spec"]["size"] = 2
        if key == ("05-crud", 4):
            fixed["request"]["body"]["spec"]["size"] = 3
        if key == ("09-deletion", 11):
            owner = fixed["request"]["body"]["metadata"]["ownerReferences"][0]
            owner.update(name="l3", uid="3626584a-cdd9-4852-9f61-97c9a9e0dc4d")
        return fixed

    async def _create_labelled(self) -> None:
        for number in range(5):
            labels = {"app": "x", "n": str(number)}
            created = await self._replay.call("POST", WIDGETS, _widget(f"l{number}", labels=labels))
            self._replay.versions[str(311 + number)] = created["metadata"]["resourceVersion"]

    async def _life_of_w1(self) -> None:
        await self._replay.call("POST", WIDGETS, _widget("w1"))
        await self._replay.call("PATCH", f"{WIDGETS}/w1/status", {"status": {"phase": "P"}}, merge=True)
        await self._replay.call("DELETE", f"{WIDGETS}/w1")

    async def _write_once(self) -> None:
        written = await self._replay.call("POST", CONFIGMAPS, _configmap("other"))
        self._replay.collections["319"] = written["metadata"]["resourceVersion"]

    async def _leave_and_return(self) -> None:
        for app in ("y", "x"):
            await self._replay.call("PATCH", f"{WIDGETS}/l0", {"metadata": {"labels": {"app": app}}}, merge=True)

    async def _collect(self) -> None:
        self._cluster.collect()

    async def _own_configmap(self) -> None:
        recorded = load("09-deletion")[20]["request"]["body"]["metadata"]["ownerReferences"][0]
        owner = {**recorded, "uid": self._replay.here[recorded["uid"]]}
        kept = await self._replay.call("POST", CONFIGMAPS, _configmap("kept", ownerReferences=[owner]))
        self._replay.here[load("09-deletion")[18]["response"]["body"]["metadata"]["uid"]] = kept["metadata"]["uid"]

    async def _node_is_dressed(self) -> None:
        while "taints" in existing(self._cluster.client, "nodes", None, "board-1")["spec"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _configmap(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


async def _replay_all(folder: Path) -> dict[Key, Outcome]:
    outcomes: dict[Key, Outcome] = {}
    async with Running(folder / "kubeconfig", collecting=False) as cluster:
        replay = Replay(cluster.session, cluster.server.url)
        recording = Recording(replay, cluster)
        for name in FILES:
            for index, recorded in enumerate(load(name)):
                key = (name, index)
                if key in recording.before:
                    await recording.before[key]()
                exchange = recording.corrected(key, recorded)
                outcomes[key] = await replay.exchange(exchange, recording.during.get(key), key in AWAITED)
    return outcomes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[Key, Outcome]:
    return asyncio.run(_replay_all(tmp_path_factory.mktemp("replay")))


def _without(value: Any, paths: str) -> Any:
    trimmed = copy.deepcopy(value)
    for path in paths.split():
        *parents, last = path.split(".")
        place = trimmed
        for parent in parents:
            place = place[parent]
        del place[last]
    return trimmed


def _entry_name(entry: Any) -> str:
    name = entry.get("name") or entry.get("resource") or entry.get("subresource") or entry.get("version")
    return str(name or entry.get("metadata", {}).get("name", ""))


def served_part(value: Any, other: Any) -> Any:
    """`value` with only those entries of lists and of `paths` that `other` has as well, without order."""
    if isinstance(value, dict) and "serverRelativeURL" in value:
        return value["serverRelativeURL"].partition("?")[0]  # the rest is a hash
    if isinstance(value, dict):
        paths = any("/" in name for name in value)
        names = [name for name in value if name in other or not (paths or name in UNIMPORTANT)]
        return {name: served_part(value[name], other.get(name, {})) for name in names}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        theirs = {_entry_name(entry): entry for entry in other}
        mine = {_entry_name(entry): entry for entry in value}
        return {name: served_part(entry, theirs[name]) for name, entry in sorted(mine.items()) if name in theirs}
    return value


def _id(key: Key) -> str:
    note = load(key[0])[key[1]]["note"]
    return f"{key[0]}-{key[1]:02}-{note}"


KEYS = [(name, index) for name in FILES for index in range(len(load(name)))]


@pytest.mark.parametrize("key", KEYS, ids=_id)
def test_it_answers_as_a_real_cluster_did(outcomes: dict[Key, Outcome], key: Key) -> None:
    ignored, _reason = EXCEPTIONS.get(key, ("", ""))
    outcome = outcomes[key]
    if key in SERVED_PART:
        outcome = Outcome(served_part(outcome.expected, outcome.actual), served_part(outcome.actual, outcome.expected))
        assert outcome.expected["body"]
    assert _without(outcome.actual, ignored) == _without(outcome.expected, ignored)
