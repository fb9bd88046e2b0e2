"""Pod status from container states, against what watchers of a real cluster saw."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from devcluster.recordings import recorded
from dms_operator.devcluster.kubelet.status import (
    ContainerState,
    PodView,
    container_status,
    pod_phase,
    pod_status,
)

Json = dict[str, Any]
NOW = datetime(2026, 11, 22, 21, 57, 17, tzinfo=UTC)
EVENTS = recorded("12")[1]["response"]["events"]
ADDRESSES = ("hostIP", "hostIPs", "podIP", "podIPs", "resources")
UNCOMPARED = ("lastTransitionTime", "lastProbeTime")  # the latter is always null
IDENTITIES = ("imageID", "user")


def state(spec: Json, recorded_status: Json) -> ContainerState:
    return ContainerState(
        spec,
        state=recorded_status["state"],
        container_id=recorded_status.get("containerID", ""),
        ready=recorded_status["ready"],
    )


def comparable(status: Mapping[str, Any]) -> Json:
    conditions = [{k: v for k, v in item.items() if k not in UNCOMPARED} for item in status["conditions"]]
    containers = [{k: v for k, v in item.items() if k not in IDENTITIES} for item in status["containerStatuses"]]
    kept = {key: value for key, value in status.items() if key not in ADDRESSES}
    return {**kept, "conditions": conditions, "containerStatuses": containers}


@pytest.mark.parametrize("index", range(2, len(EVENTS)))
def test_each_recorded_status_follows_from_its_container_states(index: int) -> None:
    pod, expected = EVENTS[index - 1]["object"], EVENTS[index]["object"]["status"]
    containers = [state(pod["spec"]["containers"][0], expected["containerStatuses"][0])]
    sandbox = expected["conditions"][0]["status"] == "True"
    cleaned = expected["phase"] == "Succeeded"
    view = PodView(pod, [], containers, expected["startTime"], sandbox or cleaned, cleaned)
    assert comparable(pod_status(view, NOW)) == comparable(expected)


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    pod, expected = EVENTS[-2]["object"], EVENTS[-1]["object"]["status"]
    containers = [state(pod["spec"]["containers"][0], expected["containerStatuses"][0])]
    status = pod_status(PodView(pod, [], containers, expected["startTime"], True, True), NOW)
    times = [item["lastTransitionTime"] for item in status["conditions"]]
    assert times == [item["lastTransitionTime"] for item in expected["conditions"]]


def ended(code: int) -> ContainerState:
    return ContainerState({"name": "c", "image": "i"}, state={"terminated": {"exitCode": code}}, container_id="x")


RUNNING = ContainerState({"name": "c", "image": "i"}, state={"running": {}}, container_id="x", ready=True)
WAITING = ContainerState({"name": "c", "image": "i"})


@pytest.mark.parametrize(
    ("policy", "initial", "main", "phase"),
    [
        ("Never", [], [ended(0)], "Succeeded"),
        ("Never", [], [ended(1)], "Failed"),
        ("Never", [], [ended(1), RUNNING], "Running"),
        ("OnFailure", [], [ended(1)], "Running"),
        ("OnFailure", [], [ended(0)], "Succeeded"),
        ("Always", [], [ended(0)], "Running"),
        ("Always", [], [WAITING], "Pending"),
        ("Never", [RUNNING], [WAITING], "Pending"),
        ("Never", [ended(2)], [WAITING], "Failed"),
        ("OnFailure", [ended(2)], [WAITING], "Pending"),
    ],
)
def test_the_phase_follows_from_states_and_restart_policy(
    policy: str, initial: list[ContainerState], main: list[ContainerState], phase: str
) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"restartPolicy": policy}}
    assert pod_phase(PodView(pod, initial, main, "", True)) == phase


def test_a_deleted_pod_ends_whatever_its_restart_policy() -> None:
    pod = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"restartPolicy": "Always"}}
    assert pod_phase(PodView(pod, [], [ended(143)], "", True)) == "Failed"


@pytest.mark.parametrize("note", ["killed for memory", "command not found", "image not there", "its pod"])
def test_container_statuses_have_the_recorded_shape(note: str) -> None:
    pod = next(item for item in recorded("11") if item["note"] == note)["response"]["body"]["items"][0]
    expected = pod["status"]["containerStatuses"][0]
    actual = container_status(state(pod["spec"]["containers"][0], expected))
    without = {key: value for key, value in expected.items() if key not in IDENTITIES}
    assert {key: value for key, value in actual.items() if key not in IDENTITIES} == without
