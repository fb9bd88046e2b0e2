"""Probes of containers that really run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.whole import SANDBOX, Whole, children, pod, shell, whole
from dms_operator.devcluster.kubelet.probes import port_number
from dms_operator.devcluster.kubelet.process import StartError

Json = dict[str, Any]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole(tmp_path) as running:
        yield running
    assert not children(str(tmp_path)), "processes were left behind"


def probe(**action: Any) -> Json:
    return {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5, **action}


def command(script: str) -> Json:
    return probe(exec={"command": ["sh", "-c", script]})


async def test_a_container_is_ready_once_its_probe_succeeds_and_no_longer_when_it_fails(here: Whole) -> None:
    file = here.cluster.config.data_directory / "is-ready"
    here.create(pod("p", shell("sleep 80", readinessProbe=command(f"test -e {file}"))))
    await here.phase("p", "Running")
    await here.until(lambda: any(reason == "Unhealthy" for _, reason, _ in here.events("p")), "it is probed")
    assert not here.container("p")["ready"]
    file.touch()
    await here.until(lambda: here.container("p")["ready"], "it is ready")
    file.unlink()
    await here.until(lambda: not here.container("p")["ready"], "it is unready again")


async def test_a_container_that_is_not_alive_is_started_again(here: Whole) -> None:
    volumes, mounts = [{"name": "v", "emptyDir": {}}], [{"name": "v", "mountPath": "/v"}]
    script = f"[ -e {SANDBOX}/v/second ] || touch {SANDBOX}/v/dead; touch {SANDBOX}/v/second; sleep 81"
    check = command(f"test ! -e {SANDBOX}/v/dead || {{ rm {SANDBOX}/v/dead; exit 1; }}")
    check["initialDelaySeconds"] = 1
    container = shell(script, volumeMounts=mounts, livenessProbe=check)
    here.create(pod("p", container, volumes=volumes, restartPolicy="Always"))
    await here.until(lambda: here.container("p").get("restartCount") == 1, "it was started again")
    message = "Container c failed liveness probe, will be restarted"
    assert ("Normal", "Killing", message) in here.events("p")


async def test_an_http_probe_asks_the_named_port(here: Whole, unused_tcp_port: int) -> None:
    server = shell(
        f"exec python3 -m http.server {unused_tcp_port} --bind 127.0.0.1",
        ports=[{"name": "web", "containerPort": unused_tcp_port}],
        startupProbe={**probe(tcpSocket={"port": unused_tcp_port}), "failureThreshold": 10},
        readinessProbe=probe(httpGet={"path": "/", "port": "web"}),
    )
    here.create(pod("p", server))
    await here.until(lambda: here.container("p").get("ready"), "it is ready")


def test_an_unknown_port_name_is_refused() -> None:
    with pytest.raises(StartError, match="no port named 'web'"):
        port_number("web", {"ports": [{"name": "metrics", "containerPort": 1}]})
