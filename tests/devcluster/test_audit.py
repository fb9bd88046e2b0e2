"""The audit log: one line per request for a resource, in RBAC's words."""

from __future__ import annotations

import json
from pathlib import Path

from devcluster.whole import pod, shell, whole


async def test_every_request_for_a_resource_is_noted_with_its_verb_and_agent(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    async with whole(tmp_path, audit_log=log) as cluster:
        await cluster.kubectl("create", "-f", "-", stdin=json.dumps(pod("p", shell("exit 0"))))
        await cluster.kubectl("get", "pods")
        await cluster.kubectl("get", "pod", "p", "--watch", "--request-timeout=1s", code=None)
        await cluster.kubectl("patch", "pod", "p", "--subresource=status", "--type=merge", "-p", "{}")
        await cluster.kubectl("delete", "pod", "p")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    pods = [entry for entry in entries if entry["objectRef"]["resource"] == "pods"]
    assert {entry["verb"] for entry in pods} == {"create", "list", "get", "watch", "patch", "delete"}
    assert all(entry["userAgent"].startswith("kubectl/") for entry in pods)
    [patch] = [entry for entry in pods if entry["verb"] == "patch"]
    assert patch["objectRef"] == {
        "apiGroup": "",
        "resource": "pods",
        "subresource": "status",
        "namespace": "default",
        "name": "p",
    }
