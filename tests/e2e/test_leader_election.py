"""Two operators, one Lease: only its holder acts, and the other takes over whatever becomes of the holder."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dms_operator.devcluster.faults.rules import FaultPlan, Rule, SkewClock
from e2e.conftest import FakeStages
from e2e.running import Cluster, Kubectl, OperatorProcess, wait_for
from e2e.test_operator_on_devcluster import deployment, runs_by_recipe, wait_for_phase
from fault_suite.cluster import Client

TAKEOVER_SECONDS = 20.0
"""Promised; the lease itself runs out after 15."""


class Pair:
    """A leader and its standby."""

    def __init__(self, leader: OperatorProcess, standby: OperatorProcess, kubectl: Kubectl) -> None:
        self.leader, self.standby = leader, standby
        self._kubectl = kubectl

    def holder(self) -> str:
        """Who holds the lease; empty when nobody does."""
        return str(self._kubectl.json("get", "lease", "dms-operator")["spec"].get("holderIdentity") or "")

    def seconds_until_takeover(self, disturb: Callable[[], object]) -> float:
        """How long nobody acts after something was done to the leader."""
        disturb()
        started = time.monotonic()
        wait_for(lambda: self.standby.metric("dms_leader") == 1, 40, "the standby leads")
        return time.monotonic() - started


@pytest.fixture
def pair(cluster: Cluster, kubectl: Kubectl, stages: FakeStages, tmp_path: Path) -> Iterator[Pair]:
    """Both are ready; the first leads."""
    processes = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        process = OperatorProcess(cluster.kubeconfig, stages.settings, tmp_path / name, [kubectl.namespace])
        processes.append(process)
        process.start("--leader-elect", f"--leader-namespace={kubectl.namespace}")
        process.wait_ready()
        wait_for(lambda: processes[0].metric("dms_leader") == 1, 30, "the first leads")
    yield Pair(processes[0], processes[1], kubectl)
    for process in processes:
        if not process.has_ended():
            os.kill(process.pid, signal.SIGCONT)
            process.stop()


def _hold_quantize(kubectl: Kubectl, stages: FakeStages) -> str:
    """A deployment half way; gives the gate that lets it go on."""
    gate = f"{kubectl.namespace}-gate"
    stages.behave(driver__quantize={"hold": gate})
    kubectl.apply(deployment(kubectl))
    wait_for(lambda: stages.runs(stage="quantize"), 60, "quantize runs")
    return gate


def test_a_standby_is_ready_and_well_writes_nothing_and_takes_over_at_once_from_a_leader_that_ends(
    pair: Pair, kubectl: Kubectl, stages: FakeStages
) -> None:
    gate = _hold_quantize(kubectl, stages)
    assert (pair.standby.get("/readyz")[0], pair.standby.get("/healthz")[0]) == (200, 200)
    assert pair.standby.metric("dms_leader") == pair.standby.writes() == 0
    before = pair.holder()
    assert pair.seconds_until_takeover(pair.leader.stop) < TAKEOVER_SECONDS / 2, "it need not wait for the lease"
    assert pair.holder() not in ("", before)
    stages.release(gate)
    wait_for_phase(kubectl, "Ready")
    assert set(runs_by_recipe(stages).values()) == {1}


def test_a_leader_that_is_killed_is_followed_in_time_though_all_clocks_are_wrong(
    cluster: Cluster, pair: Pair, kubectl: Kubectl, stages: FakeStages, tmp_path: Path
) -> None:
    faults = Client(cluster.kubeconfig, kubectl.namespace, tmp_path)
    faults.follow(FaultPlan(rules=(Rule(fault=SkewClock(seconds=7200.0), namespaces=(kubectl.namespace,)),)))
    try:
        gate = _hold_quantize(kubectl, stages)
        assert pair.seconds_until_takeover(pair.leader.kill) < TAKEOVER_SECONDS
    finally:
        faults.follow(FaultPlan())
    stages.release(gate)
    wait_for_phase(kubectl, "Ready")
    assert set(runs_by_recipe(stages).values()) == {1}


def test_a_leader_that_was_stopped_past_its_lease_does_not_act_when_it_goes_on(
    pair: Pair, kubectl: Kubectl, stages: FakeStages
) -> None:
    gate = _hold_quantize(kubectl, stages)
    written = pair.leader.writes()
    taken_after = pair.seconds_until_takeover(lambda: os.kill(pair.leader.pid, signal.SIGSTOP))
    assert taken_after < TAKEOVER_SECONDS
    stages.release(gate)
    wait_for_phase(kubectl, "Ready")
    kubectl.apply(deployment(kubectl, "later"))
    log = pair.leader.log
    told = len(log.read_text())
    os.kill(pair.leader.pid, signal.SIGCONT)
    wait_for(pair.leader.has_ended, 30, "it ends")
    wait_for_phase(kubectl, "Ready", "later")
    assert "ending, to be started anew as a candidate" in log.read_text()[told:]
    assert written > 0
    assert set(runs_by_recipe(stages).values()) == {1}
