"""Which of several operators works: the one that holds a Lease.

The others keep their caches warm and take over within `LEASE_SECONDS` and one `RETRY_SECONDS` of its last renewal, at
once when it lets go. How it stays safe:

- No clock is compared with another. A candidate counts for how long it has seen a lease unchanged, by a clock of its
  own that runs while the process is stopped or the machine sleeps; the times in the lease are for people.
- A leader stops acting `LEASE_SECONDS - RENEW_SECONDS` before anybody may take its lease: every write asks `leads`
  first, so that a process that was stopped and wakes up writes nothing.
- What was on its way at that moment may still arrive. Each write is harmless then: a Job's name follows from its
  recipe, and every other write names the version that it was decided upon.

kubernetes.aio brings an election of its own. It measures with the wall clock, counts its deadline from the last try and
not from the last success, does not bound a request that hangs, and does not let go of the lease when it ends.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from .kube import CONFLICT, ApiError
from .object_cache import Raw

_log = logging.getLogger(__name__)
LEASE_SECONDS = 15
"""As client-go: after so long without a renewal anybody may take the lease."""
RENEW_SECONDS = 10.0
"""A leader that could not renew for so long stops acting, and ends."""
RETRY_SECONDS = 2.0
_REQUEST_SECONDS = 5.0
_RELEASE_SECONDS = 2.0
"""An operator that ends does not wait long for an API server that hangs."""
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class LeadershipLost(Exception):
    """Another may act from now on: this process has to end."""


class Leases(Protocol):
    """One Lease object. All raise ApiError."""

    async def read_lease(self) -> Raw | None:
        """The lease; None when there is none."""

    async def create_lease(self, spec: Raw) -> Raw:
        """Create it."""

    async def replace_lease(self, spec: Raw, version: str) -> Raw:
        """Replace its spec if it still has this resource version (409 otherwise)."""


def boot_clock() -> float:
    """Seconds that go on while the process is stopped and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class _Sighting:
    """A lease as it was first seen."""

    lease: Raw
    since: float

    @property
    def version(self) -> str:
        return str(self.lease["metadata"]["resourceVersion"])

    @property
    def holder(self) -> str:
        return str(self._spec.get("holderIdentity") or "")

    @property
    def transitions(self) -> int:
        return int(self._spec.get("leaseTransitions") or 0)

    def is_free(self, now: float) -> bool:
        """Whether anybody may take it."""
        return not self.holder or now - self.since >= float(self._spec.get("leaseDurationSeconds") or LEASE_SECONDS)

    @property
    def _spec(self) -> Raw:
        spec: Raw = self.lease.get("spec") or {}
        return spec


class Election:
    """One candidate."""

    def __init__(
        self,
        leases: Leases,
        identity: str,
        clock: Callable[[], float] = boot_clock,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        """`now` is what the lease tells people; `clock` is what counts."""
        self.identity = identity
        self._leases = leases
        self._clock = clock
        self._now = now
        self._pause = pause
        self._seen: _Sighting | None = None
        self._acts_until = float("-inf")
        self._acquired_at = ""

    def leads(self) -> bool:
        """Whether this process may act now."""
        return self._clock() < self._acts_until

    async def acquire(self) -> None:
        """Wait until the lease is ours."""
        while not await self._try_to_take():
            await self._pause(RETRY_SECONDS * (1 + 0.2 * random.random()))
        _log.info("leading as %s", self.identity)

    async def keep(self) -> None:
        """Renew the lease for as long as that succeeds. Raises LeadershipLost."""
        while True:
            await self._pause(RETRY_SECONDS)
            if not self.leads():
                raise LeadershipLost(f"the lease was not renewed for {RENEW_SECONDS:.0f} s")
            try:
                await self._renew()
            except (ApiError, TimeoutError) as error:
                _log.warning("the lease was not renewed: %s", error or "no answer")

    async def release(self) -> None:
        """Let go of the lease, so that another need not wait until it runs out."""
        if not self.leads() or self._seen is None:
            return
        self._acts_until = float("-inf")
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._leases.replace_lease(self._spec("", self._seen.transitions), self._seen.version)
        except (ApiError, TimeoutError) as error:
            _log.warning("the lease runs out by itself, it could not be released: %s", error or "no answer")

    async def _try_to_take(self) -> bool:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                await self._look()
                if self._seen is not None and not self._seen.is_free(self._clock()):
                    return False
                await self._take()
        except (ApiError, TimeoutError) as error:
            _log.info("the lease was not taken: %s", error or "no answer")
        return self.leads()

    async def _look(self) -> None:
        lease = await self._leases.read_lease()
        if lease is None:
            self._seen = None
        elif self._seen is None or self._seen.version != lease["metadata"]["resourceVersion"]:
            self._seen = _Sighting(lease, self._clock())

    async def _take(self) -> None:
        self._acquired_at = self._now().strftime(_TIME)
        asked_at, seen = self._clock(), self._seen
        if seen is None:
            lease = await self._leases.create_lease(self._spec(self.identity, 0))
        else:
            lease = await self._leases.replace_lease(self._spec(self.identity, seen.transitions + 1), seen.version)
        self._hold(lease, asked_at)

    async def _renew(self) -> None:
        assert self._seen is not None, "only a lease that was taken is renewed"
        asked_at, seen = self._clock(), self._seen
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                lease = await self._leases.replace_lease(self._spec(self.identity, seen.transitions), seen.version)
        except ApiError as error:
            if error.code != CONFLICT:
                raise
            await self._find_out_who_wrote()
            return
        self._hold(lease, asked_at)

    async def _find_out_who_wrote(self) -> None:
        """A conflict: another has taken the lease, or the answer to our last renewal was lost."""
        async with asyncio.timeout(_REQUEST_SECONDS):
            await self._look()
        holder = self._seen.holder if self._seen else ""
        if holder != self.identity:
            self._acts_until = float("-inf")
            raise LeadershipLost(f"the lease was taken by {holder or 'nobody'}")

    def _hold(self, lease: Raw, asked_at: float) -> None:
        """Ours: counted from before we asked, because the others count from when they can see the answer."""
        self._seen = _Sighting(lease, asked_at)
        self._acts_until = asked_at + RENEW_SECONDS

    def _spec(self, holder: str, transitions: int) -> dict[str, Any]:
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": LEASE_SECONDS if holder else 1,
            "acquireTime": self._acquired_at,
            "renewTime": self._now().strftime(_TIME),
            "leaseTransitions": transitions,
        }
