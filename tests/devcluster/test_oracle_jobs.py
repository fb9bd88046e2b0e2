"""Jobs and pods of recordings 11 to 13, made again on a simulated node, compared as oracle/README.md says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from devcluster.recordings import exchange, recorded
from devcluster.whole import DEADLINE_SECONDS, LOOK_SECONDS, Whole, whole
from dms_operator.devcluster.config import BackoffConfig

Json = dict[str, Any]
JOBS = "/apis/batch/v1/namespaces/oracle/jobs"
NODE = "/api/v1/nodes/build-1"
JOB_SEEN_AT = {"board": "scheduled when the resource appears"}  # where the whole job was recorded, if not at once

# Commands that a process without a mount namespace has to say differently; said back before comparing.
SAID_DIFFERENTLY = {
    "> /dev/termination-log": "> $CONTAINER_SANDBOX_MOUNT_POINT/dev/termination-log",
    "cat /cm/k; ls -la /cm": "cat $CONTAINER_SANDBOX_MOUNT_POINT/cm/k; ls -la $CONTAINER_SANDBOX_MOUNT_POINT/cm",
    "touch /x": "touch /proc/x",  # there is no read-only root, and the machine's own is not to be touched
}

# Fields that are not compared, with the reason.
NOT_COMPARED = {
    "resourceVersion": "README: compare order only, which the order of events shows",
    "description": "README: descriptions were blanked",
    "podIP": "README: IPs",
    "podIPs": "README: IPs",
    "hostIP": "README: IPs",
    "hostIPs": "README: IPs",
    "imageID": "there is no image, only a name for an environment",
    "user": "processes run as the user of the dev cluster, not as runAsUser",
    "lastProbeTime": "null in pods, left out here: the built-in schemas refuse or drop nulls",
}
POD_RESOURCES = "status.resources of a pod: the recordings show a race of kubelet 1.36 (a limit of 2^53 KiB, or none)"

# Exchanges of which only a part is compared, with the reason.
PARTLY: dict[tuple[str, int], tuple[Callable[[Any], Any], str]] = {
    ("11", 7): (
        lambda body: (body["code"], body["reason"], body["details"]["causes"][0]["field"]),
        "a dump of Go structs",
    ),
    ("11", 20): (lambda body: _node_part(body), "node facts"),
    ("11", 25): (lambda body: _log_part(body), "a volume is a link, so `ls -la` shows the link"),
}

# Events of the real kubelet that have no cause here.
NO_EVENTS = {"MissingClusterDNS": "there is no cluster DNS to miss"}

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SUFFIX = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z$")
AGE = re.compile(r"^(<invalid>|(\d+[smhdy])+)$")
ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b")
CONTAINER = re.compile(r"(containerd|process)://[0-9a-f]{64}")


def _node_part(body: Json) -> Json:
    status = body["status"]
    return {
        "labels": {key: value for key, value in body["metadata"]["labels"].items() if "dms.edge" in key},
        "boards": [status[side]["dms.edge/qcs8255"] for side in ("capacity", "allocatable")],
        "conditions": [
            (item["type"], item["status"], item["reason"], item["message"]) for item in status["conditions"]
        ],
    }


def _log_part(body: str) -> list[str]:
    lines = body.replace("vtotal", "v\ntotal").replace("vlrwx", "v\nlrwx").splitlines()
    return [lines[0], lines[1], lines[-1]]


def plain(value: Any) -> Any:
    """A value without what is not compared."""
    if isinstance(value, dict):
        kept = {key: plain(item) for key, item in value.items() if key not in NOT_COMPARED and key != "managedFields"}
        return _without_pod_resources(kept)
    if isinstance(value, list):
        return [plain(item) for item in value if not _is_openshift(item)]
    return _plain_text(value) if isinstance(value, str) else value


def _is_openshift(item: Any) -> bool:
    """A projection that only this one real cluster had."""
    return isinstance(item, dict) and (item.get("configMap") or {}).get("name") == "openshift-service-ca.crt"


def _without_pod_resources(value: Json) -> Json:
    return {key: item for key, item in value.items() if key != "resources"} if "qosClass" in value else value


def _plain_text(text: str) -> str:
    for theirs, ours in SAID_DIFFERENTLY.items():
        text = text.replace(ours, theirs)
    if TIME.match(text) and not text.startswith("1970"):
        return "<time>"
    if AGE.match(text):
        return "<age>"
    for pattern, name in ((UUID, "<uid>"), (CONTAINER, "<id>"), (ADDRESS, "<ip>"), (SUFFIX, "-*****")):
        text = pattern.sub(name, text)
    return text


def events_of(body: Json) -> list[tuple[str, ...]]:
    """Events as (object, type, reason, message), in the order in which they were posted."""
    items = [item for item in body["items"] if item["reason"] not in NO_EVENTS]
    items.sort(key=lambda item: (item["involvedObject"]["name"], item["metadata"]["name"].rsplit(".", 1)[1]))
    return [
        tuple(map(_plain_text, (item["involvedObject"]["name"], item["type"], item["reason"], item["message"])))
        for item in items
    ]


def differences(expected: Any, actual: Any, path: str = "") -> list[str]:
    """Where two values differ, by path."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        keys = sorted(expected.keys() | actual.keys())
        absent = "<absent>"
        pairs = ((key, expected.get(key, absent), actual.get(key, absent)) for key in keys)
        return [text for key, left, right in pairs for text in differences(left, right, f"{path}.{key}")]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        items = enumerate(zip(expected, actual, strict=True))
        return [text for index, (left, right) in items for text in differences(left, right, f"{path}[{index}]")]
    return [] if expected == actual else [f"{path}: recorded {expected!r}, here {actual!r}"]


class Again:
    """Asks the dev cluster what was asked of the real one."""

    def __init__(self, cluster: Whole, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self.session = session
        self.names: dict[str, str] = {}

    def translated(self, text: str) -> str:
        for theirs, ours in {**SAID_DIFFERENTLY, **self.names}.items():
            text = text.replace(theirs, ours)
        return text

    async def ask(self, request: Json) -> Json:
        data = request.get("body")
        text = None if data is None else self.translated(json.dumps(data))
        headers = dict(request.get("headers") or {})
        path, query = self.translated(request["path"]), request.get("query") or {}
        async with self.session.request(request["method"], path, params=query, data=text, headers=headers) as answer:
            content = await answer.text()
            body = json.loads(content) if "json" in answer.headers["Content-Type"] else content
            return {"code": answer.status, "warning": answer.headers.getall("Warning", []), "body": body}

    async def compare(self, number: str, index: int) -> None:
        """Ask until the answer is the recorded one; fail with the difference when the time is up."""
        one = recorded(number)[index]
        part = PARTLY.get((number, index), (None, ""))[0] or _view(one)
        expected = _comparable(one["response"], part)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (DEADLINE_SECONDS if one["request"]["method"] == "GET" else 0)
        closest: list[str] | None = None
        while closest != []:
            actual = await self.ask(one["request"])
            found = differences(expected, _comparable(actual, part))
            closest = found if closest is None or len(found) <= len(closest) else closest
            assert not closest or loop.time() < deadline, (one["note"], closest)
            await asyncio.sleep(LOOK_SECONDS)
        self._learn_names(one["response"].get("body"), actual["body"])

    def _learn_names(self, theirs: Any, ours: Any) -> None:
        if isinstance(theirs, dict) and "items" in theirs:
            for left, right in zip(theirs["items"], ours["items"], strict=False):
                self.names[left["metadata"]["name"]] = right["metadata"]["name"]

    async def create_job(self, number: str, note: str) -> None:
        """Create a job whose creation was not recorded, from what was seen of it later."""
        body = exchange(number, note)["response"]["body"]
        owned = body["items"][0] if "items" in body else body
        if owned.get("kind") == "Job":
            name, spec = owned["metadata"]["name"], _unlabelled(owned["spec"])
        else:
            name = owned["metadata"]["ownerReferences"][0]["name"]
            spec = {
                "backoffLimit": 0,
                "template": {"metadata": {"labels": {"t": name}}, "spec": _unmounted(owned["spec"])},
            }
        await self.post({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}, JOBS)

    async def post(self, obj: Json, path: str) -> None:
        answer = await self.ask(
            {"method": "POST", "path": path, "body": obj, "headers": {"Content-Type": "application/json"}}
        )
        assert answer["code"] == 201, answer

    async def patch(self, path: str, change: Json) -> None:
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = await self.ask({"method": "PATCH", "path": path, "body": change, "headers": headers})
        assert answer["code"] == 200, answer

    async def watch(self, path: str, count: int, act: Callable[[], Awaitable[None]]) -> list[Json]:
        """The first `count` events after now, while something is done."""
        async with self.session.get(path) as listed:
            version = (await listed.json())["metadata"]["resourceVersion"]
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "30"}
        async with self.session.get(path, params=query) as stream:
            await act()
            return [json.loads(await stream.content.readline()) for _ in range(count)]


def _comparable(response: Json, part: Callable[[Any], Any]) -> Any:
    try:
        body = part(response["body"])
    except (KeyError, IndexError, TypeError, AttributeError) as absent:
        body = f"no such part: {absent!r}"
    return plain({"code": response["code"], "warning": response.get("warning") or [], "body": body})


def _view(one: Json) -> Callable[[Any], Any]:
    if one["request"]["path"].endswith("/events"):
        return events_of
    return lambda body: body


def _unlabelled(spec: Json) -> Json:
    """A job's spec without what the server adds."""
    template = spec["template"]
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key == "t"}
    kept = {key: value for key, value in spec.items() if key not in ("selector", "manualSelector", "template")}
    return {**kept, "template": {**template, "metadata": {"labels": labels}}}


def _unmounted(spec: Json) -> Json:
    """A pod's spec without what the server, the scheduler and the account admission add."""
    added = (
        "nodeName",
        "serviceAccount",
        "serviceAccountName",
        "tolerations",
        "priority",
        "enableServiceLinks",
        "preemptionPolicy",
    )
    kept = {key: value for key, value in spec.items() if key not in added}
    kept["volumes"] = [item for item in spec["volumes"] if "kube-api-access" not in item["name"]]
    kept["containers"] = [
        {
            **item,
            "volumeMounts": [one for one in item.get("volumeMounts", []) if "kube-api-access" not in one["name"]],
        }
        for item in spec["containers"]
    ]
    return {key: value for key, value in kept.items() if value != []}


@pytest.fixture
async def again(tmp_path: Path) -> AsyncIterator[Again]:
    async with whole(tmp_path, job_backoff=BackoffConfig(initial=2.0)) as cluster:
        server = cluster.cluster.server
        headers = {"Authorization": f"Bearer {server.token}", "User-Agent": "python-httpx/0"}
        connector = aiohttp.TCPConnector(ssl=server.client_context())
        async with aiohttp.ClientSession(server.url, headers=headers, connector=connector) as session:
            one = Again(cluster, session)
            await one.post(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "oracle"}},
                "/api/v1/namespaces",
            )
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "s"},
                "stringData": {"k": "v"},
            }
            await one.post(secret, "/api/v1/namespaces/oracle/secrets")
            yield one


class Steps:
    """What was done between the recorded exchanges of 11, by the index of the next one."""

    def __init__(self, again: Again) -> None:
        self.again = again

    async def before(self, index: int) -> None:
        created = {
            8: "fail",
            10: "terminal",
            12: "slow",
            14: "susp",
            16: "board",
            21: "oom",
            22: "nocmd",
            23: "noimg",
        }
        if index in created:
            await self.again.create_job("11", JOB_SEEN_AT.get(created[index]) or recorded("11")[index]["note"])
        step = getattr(self, f"before_{index}", None)
        if step is not None:
            await step()

    async def before_15(self) -> None:
        await self.again.patch(f"{JOBS}/susp", {"spec": {"suspend": False}})

    async def before_17(self) -> None:
        await self.again.patch(NODE, {"metadata": {"labels": {"dms.edge/board": "qcs8255"}}})

    async def before_18(self) -> None:
        await self.again.patch(f"{NODE}/status", {"status": {"capacity": {"dms.edge/qcs8255": "1"}}})

    async def before_24(self) -> None:
        await self.again.create_job("11", "waits for a missing configmap")
        await self.again.patch(f"{JOBS}/env", {"spec": {"ttlSecondsAfterFinished": 2}})

    async def before_25(self) -> None:
        found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept2"}, "data": {"k": "v"}}
        await self.again.post(found, "/api/v1/namespaces/oracle/configmaps")

    async def before_28(self) -> None:
        def runs() -> bool:
            pods = self.again.cluster.client.list("pods", "oracle", {"job-name": "run"})
            return bool(pods) and pods[0]["status"]["phase"] == "Running"

        await self.again.cluster.until(runs, "the job runs")


async def test_jobs_and_pods_end_and_wait_as_on_a_real_node(again: Again) -> None:
    steps = Steps(again)
    for index in range(len(recorded("11"))):
        await steps.before(index)
        await again.compare("11", index)


@pytest.mark.parametrize(("index", "name"), [(0, "seen"), (1, "seen2")])
async def test_a_watcher_sees_every_state_in_the_recorded_order(again: Again, index: int, name: str) -> None:
    one = recorded("12")[index]
    expected = one["response"]["events"]
    template = recorded("12")[0]["response"]["events"][0]["object"]["spec"]["template"]
    spec = {"template": {"metadata": {"labels": {"t": name}}, "spec": template["spec"]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
    seen = await again.watch(one["request"]["path"], len(expected), lambda: again.post(job, JOBS))
    assert differences([plain(event) for event in expected], [plain(event) for event in seen]) == []


async def test_pod_security_warns_of_templates_and_refuses_pods(again: Again) -> None:
    for index in range(len(recorded("13"))):
        await again.compare("13", index)
