"""Faults on demand, as real clients meet them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

import aiohttp
import pytest
from kubernetes.aio import client, config, watch
from kubernetes.aio.client.exceptions import ApiException

from devcluster.faults import Faults
from devcluster.kopf_operator import operating, until
from devcluster.running import Running
from devcluster.widgets import widget
from dms_operator.devcluster.faults.happenings import CutConnections, ExpireToken, KillPod, LoseEvents, RestartApi
from dms_operator.devcluster.faults.rules import Delay, DisturbWatch, FaultPlan, Halve, Refuse, Rule

CONFIGMAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
WANTED = client.V1ConfigMap.model_validate(CONFIGMAP)
FOR_EVER = 3600.0


@pytest.fixture
async def core(cluster: Running) -> AsyncIterator[client.CoreV1Api]:
    configuration = client.Configuration()
    await config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as api:
        yield client.CoreV1Api(api)


async def _stored(core: client.CoreV1Api) -> client.V1ObjectMeta:
    """The metadata of the config map as it was stored."""
    found = (await core.read_namespaced_config_map("c", "default")).metadata
    assert found is not None
    return found


def _version(listed: client.V1ConfigMapList) -> str | None:
    assert listed.metadata is not None
    return listed.metadata.resource_version


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (401, "Unauthorized"),
        (409, "Conflict"),
        (410, "Expired"),
        (422, "Invalid"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (504, "Timeout"),
    ],
)
async def test_a_burst_of_refusals_has_its_length(
    core: client.CoreV1Api, faults: Faults, code: int, reason: str
) -> None:
    await faults.strike(Refuse.model_validate({"code": code}), verbs=("create",), resources=("configmaps",), count=2)
    for _ in range(2):
        with pytest.raises(ApiException) as refusal:
            await core.create_namespaced_config_map("default", WANTED)
        assert refusal.value.status == code
        assert f'"reason":"{reason}"' in (refusal.value.body or "")
    await core.create_namespaced_config_map("default", WANTED)
    assert await faults.struck() == 2


async def test_kubectl_comes_again_after_as_long_as_it_was_told(cluster: Running, faults: Faults) -> None:
    fault = Refuse(code=429, retry_after=1)
    await faults.strike(fault, verbs=("list",), resources=("configmaps",), agents=("kubectl*",), count=1)
    assert "kube-root-ca.crt" in await cluster.kubectl("get", "configmaps")
    assert await faults.struck() == 1


async def test_a_late_refusal_comes_after_the_deed(core: client.CoreV1Api, faults: Faults) -> None:
    await faults.strike(Refuse(code=504, late=True), verbs=("create",), count=1)
    with pytest.raises(ApiException):
        await core.create_namespaced_config_map("default", WANTED)
    assert (await _stored(core)).name == "c"


async def test_half_an_answer_is_an_error_although_the_deed_is_done(core: client.CoreV1Api, faults: Faults) -> None:
    await faults.strike(Halve(share=0.5), verbs=("create",), count=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await core.create_namespaced_config_map("default", WANTED)
    assert (await _stored(core)).name == "c"


async def test_a_slow_answer_is_overtaken(core: client.CoreV1Api, faults: Faults) -> None:
    await faults.strike(Delay(seconds=FOR_EVER), resources=("secrets",))
    slow = asyncio.create_task(core.list_namespaced_secret("default"))
    while not await faults.struck():  # noqa: ASYNC110  # what changes is in the server
        await asyncio.sleep(0.01)
    await core.list_namespaced_config_map("default")
    assert not slow.done()
    slow.cancel()


async def _seen(core: client.CoreV1Api, enough: int) -> list[str]:
    """The first names that one watch of config maps shows."""
    names: list[str] = []
    async with watch.Watch() as stream:
        async for event in stream.stream(core.list_namespaced_config_map, "default", timeout_seconds=30):
            names.append(event["object"].metadata.name)
            if len(names) == enough:
                break
    return names


async def test_a_watch_that_is_cut_breaks_within_an_event(
    cluster: Running, core: client.CoreV1Api, faults: Faults
) -> None:
    for name in ("a", "b"):
        cluster.client.create("configmaps", "default", {**CONFIGMAP, "metadata": {"name": name}})
    await faults.strike(DisturbWatch(how="cut", after=1), count=1)
    with pytest.raises(aiohttp.ClientError):
        async with cluster.session.get("/api/v1/namespaces/default/configmaps?watch=1") as response:
            received = b""
            async for chunk in response.content.iter_any():
                received += chunk
    whole, half = received.split(b"\n")
    assert b'"name":"a"' in whole and half and not half.endswith(b"}")
    assert await _seen(core, 3) == ["a", "b", "kube-root-ca.crt"], "the next watch is whole"


async def test_a_watch_that_is_told_gone_says_so(core: client.CoreV1Api, faults: Faults) -> None:
    await faults.strike(DisturbWatch(how="gone"), count=1)
    with pytest.raises(ApiException) as refusal:
        await _seen(core, 1)
    assert refusal.value.status == 410


async def test_a_watch_that_ends_early_ends_cleanly(cluster: Running, faults: Faults) -> None:
    await faults.strike(DisturbWatch(how="end", after=1))
    async with cluster.session.get("/api/v1/namespaces?watch=1") as response:
        assert (await response.text()).count("\n") == 1


async def test_a_stalled_watch_stays_open_and_silent(cluster: Running, faults: Faults) -> None:
    await faults.strike(DisturbWatch(how="stall", after=1), count=1)
    async with cluster.session.get("/api/v1/namespaces?watch=1") as stalled:
        assert b"default" in await stalled.content.readline()
        async with cluster.session.get("/api/v1/namespaces?watch=1") as other:
            assert b"default" in await other.content.readline()
            assert b"kube-system" in await other.content.readline()
        silent = asyncio.create_task(stalled.content.readline())
        await asyncio.sleep(0)
        assert not silent.done() and not stalled.content.at_eof()
        silent.cancel()


async def test_an_expired_token_is_refused_and_the_kubeconfig_has_another(cluster: Running, faults: Faults) -> None:
    old = shutil.copy(cluster.kubeconfig, cluster.kubeconfig.with_name("old"))
    await faults.happen(ExpireToken())
    assert "You must be logged in" in await cluster.kubectl("--kubeconfig", str(old), "get", "pods", code=1)
    assert "No resources found" in await cluster.kubectl("get", "pods")


async def test_lost_events_are_gone_for_those_who_ask(cluster: Running, core: client.CoreV1Api, faults: Faults) -> None:
    listed = await core.list_namespaced_config_map("default")
    cluster.client.create("configmaps", "default", CONFIGMAP)
    await faults.happen(LoseEvents())
    with pytest.raises(ApiException) as refusal:
        async with watch.Watch() as stream:
            async for _ in stream.stream(core.list_namespaced_config_map, "default", resource_version=_version(listed)):
                pass
    assert refusal.value.status == 410
    assert "c" in await _seen(core, 2)


@pytest.mark.parametrize("lose_events", [False, True])
async def test_a_restarted_api_has_its_objects_at_the_same_place(
    cluster: Running, core: client.CoreV1Api, faults: Faults, lose_events: bool
) -> None:
    listed = await core.list_namespaced_config_map("default")
    created = (await core.create_namespaced_config_map("default", WANTED)).metadata
    assert created is not None
    await faults.happen(RestartApi(seconds=0.1, lose_events=lose_events))
    await faults.until_served()
    found = await _stored(core)
    assert (found.uid, found.resource_version) == (created.uid, created.resource_version)
    query = f"watch=1&timeoutSeconds=1&resourceVersion={_version(listed)}"
    async with cluster.session.get(f"/api/v1/namespaces/default/configmaps?{query}") as response:
        assert ('"code":410' in await response.text()) == lose_events


async def test_cut_connections_are_made_anew(cluster: Running, core: client.CoreV1Api, faults: Faults) -> None:
    async with cluster.session.get("/api/v1/pods?watch=1") as response:
        await faults.happen(CutConnections())
        with pytest.raises(aiohttp.ClientError):
            await response.text()
    await core.list_namespaced_config_map("default")


async def test_what_cannot_happen_here_is_refused(cluster: Running) -> None:
    nobody = KillPod(namespace="default", name="p").model_dump_json()
    async with cluster.session.post("/-/happenings", data=nobody) as response:
        assert response.status == 503
    async with cluster.session.post("/-/happenings", data='{"what": "nothing"}') as response:
        assert response.status == 400
    async with cluster.session.post("/-/faults", data='{"rules": 3}') as response:
        assert response.status == 400


async def test_only_who_has_the_token_may_ask_for_faults(cluster: Running) -> None:
    async with cluster.session.post("/-/faults", data="{}", headers={"Authorization": "Bearer no"}) as response:
        assert response.status == 401


async def test_kubectl_can_ask_for_faults(cluster: Running, faults: Faults) -> None:
    plan = FaultPlan(rules=(Rule(fault=Refuse(code=403), agents=("curl*",)),))
    await cluster.kubectl("create", "--raw", "/-/faults", "-f", "-", stdin=plan.model_dump_json())
    assert '"code":403' in await cluster.kubectl("get", "--raw", "/-/faults")
    await cluster.kubectl("delete", "--raw", "/-/faults")
    assert await faults.struck() == 0


async def test_kopf_does_its_work_through_all_of_it(
    cluster: Running, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    widgets = ("widgets.demo.example",)
    rules = (
        Rule(fault=DisturbWatch(how="cut", after=1), count=2, resources=widgets),
        Rule(fault=DisturbWatch(how="gone"), after=2, count=2, resources=widgets),
        Rule(fault=Refuse(code=500), verbs=("patch",), count=2, resources=widgets),
        Rule(fault=Refuse(code=503, late=True), verbs=("patch",), after=3, count=1, resources=widgets),
        Rule(fault=Delay(seconds=0, jitter=0.2), probability=0.3, resources=widgets),
    )
    async with operating(cluster) as calls:
        await faults.use(FaultPlan(seed=7, rules=rules))
        for name in ("a", "b", "c"):
            cluster.client.create("widgets", "default", widget(name))
        await until(lambda: {"created a", "created b", "created c"} <= set(calls))
        await faults.happen(RestartApi(seconds=0.3, lose_events=True))
        cluster.client.patch("widgets", "default", "a", {"spec": {"size": 3}})
        await until(lambda: "updated a to 3" in calls)
        cluster.client.delete("widgets", "default", "b")
        await until(lambda: cluster.client.get("widgets", "default", "b") is None)
        await faults.clear()
