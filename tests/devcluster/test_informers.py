"""Informers and leader election of the `kubernetes` clients, also when the API misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import kubernetes.client
import kubernetes.config
import pytest
from kubernetes.aio import client, config
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock
from kubernetes.informer import SharedInformer

from devcluster.faults import Faults
from devcluster.running import Running
from dms_operator.devcluster.faults.happenings import CutConnections, LoseEvents
from dms_operator.devcluster.faults.rules import DisturbWatch, Refuse, SkewClock

HOUR = 3600.0
SHORTEST_PERIOD = 1.01  # seconds; the client allows no less


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what changes is in another thread
            await asyncio.sleep(0.02)


@pytest.fixture
async def informer(cluster: Running) -> AsyncIterator[SharedInformer]:
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    core = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))
    informer = SharedInformer(core.list_namespaced_config_map, namespace="kube-system")
    informer.start()
    yield informer
    stopped = asyncio.create_task(asyncio.to_thread(informer.stop))
    while not stopped.done():  # its thread listens until an event or the end of its connection
        cluster.server.cut_connections()
        await asyncio.sleep(0.05)


def _names(informer: SharedInformer) -> set[str]:
    return {item.metadata.name for item in informer.cache.list()} - {"kube-root-ca.crt"}


def _create(cluster: Running, name: str) -> None:
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    cluster.client.create("configmaps", "kube-system", configmap)


async def test_an_informer_knows_what_there_is(cluster: Running, informer: SharedInformer) -> None:
    _create(cluster, "a")
    await _until(lambda: _names(informer) == {"a"})
    cluster.client.delete("configmaps", "kube-system", "a")
    await _until(lambda: _names(informer) == set())


async def test_an_informer_misses_nothing_when_watches_break(
    cluster: Running, informer: SharedInformer, faults: Faults
) -> None:
    _create(cluster, "a")
    await _until(lambda: _names(informer) == {"a"})
    await faults.strike(DisturbWatch(how="cut", after=1), resources=("configmaps",), count=3)
    await faults.happen(CutConnections())
    for name in ("b", "c", "d", "e"):
        _create(cluster, name)
    await _until(lambda: _names(informer) == {"a", "b", "c", "d", "e"})


async def test_an_informer_lists_again_when_events_are_lost(
    cluster: Running, informer: SharedInformer, faults: Faults
) -> None:
    _create(cluster, "a")
    await _until(lambda: _names(informer) == {"a"})
    await faults.strike(Refuse(code=503), verbs=("watch",), count=2)
    await faults.happen(CutConnections())
    cluster.client.delete("configmaps", "kube-system", "a")
    _create(cluster, "b")
    await faults.happen(LoseEvents())
    await _until(lambda: _names(informer) == {"b"})


def _election(lock: LeaseLock, leading: list[str]) -> LeaderElection:
    async def started() -> None:
        leading.append(lock.identity)
        await asyncio.Event().wait()

    async def stopped() -> None:
        leading.remove(lock.identity)

    return LeaderElection(Config(lock, 30, 20, SHORTEST_PERIOD, started, stopped))


async def test_a_leader_whose_clock_is_wrong_stays_the_leader(cluster: Running, faults: Faults) -> None:
    """Candidates have to judge a lease by how long they saw it unchanged, not by the times written in it."""
    configuration = client.Configuration()
    await config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    await faults.strike(SkewClock(seconds=-HOUR))
    # kubernetes.aio 37.0 cannot create a lease itself: it passes pretty=True where only a text is accepted
    lock = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "leader"}}
    cluster.client.create("leases", "default", lock)
    leading: list[str] = []
    async with client.ApiClient(configuration) as api:
        first = asyncio.create_task(_election(LeaseLock("leader", "default", "first", api), leading).run())
        await _until(lambda: leading == ["first"])
        lease = cluster.client.get("leases", "default", "leader")
        second = asyncio.create_task(_election(LeaseLock("leader", "default", "second", api), leading).run())
        seen = await faults.struck()
        while await faults.struck() < seen + 3:  # noqa: ASYNC110  # what changes is in the server
            await asyncio.sleep(0.02)
        assert leading == ["first"]
        now = cluster.registry.now()
        assert lease is not None and lease["spec"]["renewTime"] < now, "the skew is in what was written"
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
