"""Asks a dev cluster, any that one has a kubeconfig of, to misbehave."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from dms_operator.devcluster.faults.happenings import HAPPENING, Happening
from dms_operator.devcluster.faults.rules import Fault, FaultPlan, Rule

_LOOK_SECONDS = 0.02
_DEADLINE_SECONDS = 20.0


class Faults:
    """`await faults.strike(Refuse(code=429), verbs=("create",), count=3)`."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    async def strike(self, fault: Fault, seed: int = 0, **rule: Any) -> None:
        """Follow one rule from here on."""
        await self.use(FaultPlan(seed=seed, rules=(Rule(fault=fault, **rule),)))

    async def use(self, plan: FaultPlan) -> None:
        """Follow a plan from here on."""
        await self._request("POST", "/-/faults", plan.model_dump_json())

    async def clear(self) -> None:
        """Behave."""
        await self._request("DELETE", "/-/faults")

    async def struck(self) -> int:
        """How many requests were struck since the plan began."""
        return sum(tally["struck"] for tally in (await self._request("GET", "/-/faults"))["tallies"])

    async def happen(self, event: Happening) -> None:
        """Let something happen."""
        await self._request("POST", "/-/happenings", HAPPENING.dump_json(event).decode())

    async def until_served(self) -> None:
        """Wait until the API answers again."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while True:
                try:
                    await self._request("GET", "/version")
                    return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _request(self, method: str, path: str, body: str | None = None) -> Any:
        config = yaml.safe_load(self._kubeconfig.read_text())  # each time: the token may have changed
        [cluster], [user] = config["clusters"], config["users"]
        authority = b64decode(cluster["cluster"]["certificate-authority-data"]).decode()
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority))
        headers = {"Authorization": f"Bearer {user['user']['token']}"}
        url = cluster["cluster"]["server"]
        async with (
            aiohttp.ClientSession(url, headers=headers, connector=connector) as session,
            session.request(method, path, data=body) as response,
        ):
            assert response.ok, await response.text()
            return await response.json()
