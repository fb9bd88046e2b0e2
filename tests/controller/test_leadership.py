"""However requests are lost, refused or late and processes stopped: never do two operators lead at once."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dms_operator.controller.kube import CONFLICT, ApiError
from dms_operator.controller.leadership import (
    LEASE_SECONDS,
    RENEW_SECONDS,
    RETRY_SECONDS,
    Election,
    LeadershipLost,
)
from dms_operator.controller.object_cache import Raw

Fate = Literal["answered", "refused", "answer lost", "answer late"]
FATES: tuple[Fate, ...] = ("answered", "refused", "answer lost", "answer late")


class Server:
    """The API server's Lease, and the time that passes for everybody."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.time = 0.0
        self.version = 0

    def write(self, spec: Raw, version: str | None) -> dict[str, Any]:
        present = self.lease["metadata"]["resourceVersion"] if self.lease else None
        if version != present:
            raise ApiError(CONFLICT, "Conflict", "it has been modified")
        self.version += 1
        self.lease = {"metadata": {"resourceVersion": str(self.version)}, "spec": dict(spec)}
        return self.lease


class Candidate:
    """An operator that goes on when the test says so. Its clocks are off; its next request may have another fate."""

    def __init__(self, server: Server, name: str, clock_error: float = 0.0) -> None:
        self._server = server
        self.fate: Fate = "answered"
        self._late = asyncio.Event()
        self._turn = asyncio.Event()
        self.election = Election(
            self,
            name,
            clock=lambda: server.time + clock_error,
            now=lambda: datetime.fromtimestamp(10**9 + 1000 * clock_error, UTC),
            pause=self._pause,
        )
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await self.election.acquire()
        await self.election.keep()

    async def _pause(self, seconds: float) -> None:
        self._turn.clear()
        await self._turn.wait()

    async def step(self) -> None:
        """As far as it gets without waiting."""
        self._turn.set()
        self._late.set()
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def read_lease(self) -> Raw | None:
        lease = self._server.lease
        await self._befall()
        return lease

    async def create_lease(self, spec: Raw) -> Raw:
        return await self._write(spec, None)

    async def replace_lease(self, spec: Raw, version: str) -> Raw:
        return await self._write(spec, version)

    async def _write(self, spec: Raw, version: str | None) -> Raw:
        if self.fate == "refused":
            await self._befall()
        lease = self._server.write(spec, version)
        await self._befall()
        return lease

    async def _befall(self) -> None:
        fate, self.fate = self.fate, "answered"
        if fate == "answer late":
            self._late.clear()
            await self._late.wait()
        elif fate != "answered":
            raise ApiError(0, "Unreachable", fate)


async def _both() -> tuple[Server, Candidate, Candidate]:
    """One that leads, and one that has seen its lease."""
    server = Server()
    one, other = Candidate(server, "one"), Candidate(server, "other")
    await one.step()
    await other.step()
    assert (one.election.leads(), other.election.leads()) == (True, False)
    return server, one, other


async def test_a_leader_that_is_gone_is_followed_after_its_lease_has_run_out() -> None:
    server, one, other = await _both()
    await one.end()
    while not other.election.leads():
        server.time += RETRY_SECONDS
        await other.step()
    assert LEASE_SECONDS <= server.time < 20
    assert server.lease and server.lease["spec"]["leaseTransitions"] == 1
    await other.end()


async def test_a_lease_that_is_let_go_is_taken_at_the_next_look() -> None:
    _, one, other = await _both()
    await one.election.release()
    assert not one.election.leads()
    await other.step()
    assert other.election.leads()
    for candidate in (one, other):
        await candidate.end()


async def test_a_leader_that_was_stopped_does_not_lead_when_it_wakes_up_and_ends() -> None:
    server, one, other = await _both()
    server.time += RENEW_SECONDS
    assert not one.election.leads(), "before anybody else may"
    await other.step()
    assert not other.election.leads()
    server.time += LEASE_SECONDS - RENEW_SECONDS
    await other.step()
    assert other.election.leads()
    await one.step()
    with pytest.raises(LeadershipLost, match="not renewed"):
        await one.task
    await other.end()


async def test_an_answer_that_comes_after_a_stop_proves_nothing() -> None:
    server, one, other = await _both()
    server.time += RETRY_SECONDS
    one.fate = "answer late"
    await one.step()
    server.time += 3600
    await one.step()
    assert not one.election.leads()
    for candidate in (one, other):
        await candidate.end()


async def test_a_leader_whose_lease_was_taken_ends_at_once() -> None:
    server, one, other = await _both()
    assert server.lease
    server.write({**server.lease["spec"], "holderIdentity": "somebody"}, server.lease["metadata"]["resourceVersion"])
    await one.step()
    with pytest.raises(LeadershipLost, match="taken by somebody"):
        await one.task
    assert not one.election.leads()
    await other.end()


async def test_a_renewal_whose_answer_was_lost_is_recognised_as_our_own() -> None:
    server, one, other = await _both()
    for _ in range(5):
        one.fate = "answer lost"
        for _ in range(3):
            server.time += RETRY_SECONDS
            await one.step()
        assert one.election.leads()
    for candidate in (one, other):
        await candidate.end()


async def test_a_leader_survives_refusals_that_end_in_time() -> None:
    server, one, other = await _both()
    for fate in ("refused", "refused", "refused", "answered"):
        one.fate = fate
        server.time += RETRY_SECONDS
        await one.step()
    assert one.election.leads()
    for candidate in (one, other):
        await candidate.end()


_ACTS = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["tick", "tick", "step", "step", "step", "end", "release"]),
    st.sampled_from(["answered", "answered", *FATES]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_ACTS, min_size=25, max_size=50), st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2))
async def test_never_do_two_lead_at_once_whatever_their_clocks_say(
    acts: list[tuple[int, str, Fate]], errors: list[float]
) -> None:
    server = Server()
    candidates = [Candidate(server, f"c{number}", error) for number, error in enumerate(errors)]
    for number, (who, act, fate) in enumerate(acts):
        candidate = candidates[who]
        match act:
            case "tick":
                server.time += 5.0
            case "step":
                candidate.fate = fate
                await candidate.step()
            case "release":
                await candidate.election.release()
            case "end":
                await candidate.end()
        if candidate.task.done():
            candidate.task.exception() if not candidate.task.cancelled() else None
            candidates[who] = Candidate(server, f"again-{number}", errors[who])
        assert sum(one.election.leads() for one in candidates) <= 1
    for candidate in candidates:
        await candidate.end()
