"""Fault rules: which requests, how often, and what happens to them."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]
RefusalCode = Literal[401, 403, 409, 410, 422, 429, 500, 502, 503, 504]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Refuse(_Form):
    """Answer an error. With `late` the request takes effect first: the client cannot know."""

    kind: Literal["refuse"] = "refuse"
    code: RefusalCode
    retry_after: Annotated[int, Field(ge=0)] | None = None
    late: bool = False


class Delay(_Form):
    """Answer late, by `seconds` and up to `jitter` more."""

    kind: Literal["delay"] = "delay"
    seconds: Seconds
    jitter: Seconds = 0.0


class Halve(_Form):
    """Send that part of the answer and then cut the connection. The request has taken effect."""

    kind: Literal["halve"] = "halve"
    share: Annotated[float, Field(ge=0, lt=1)] = 0.5


class DisturbWatch(_Form):
    """Let `after` events through; then `cut` within a line, `end` cleanly, tell `gone` (410) or `stall`.

    A stalled watch says nothing for `seconds`, or for ever when 0, though its connection stays open.
    """

    kind: Literal["watch"] = "watch"
    how: Literal["cut", "end", "gone", "stall"]
    after: Annotated[int, Field(ge=0)] = 0
    seconds: Seconds = 0.0


class SkewClock(_Form):
    """The clients' clock is wrong: times in the leases that they write are moved by `seconds`."""

    kind: Literal["skew"] = "skew"
    seconds: float


Fault = Annotated[Refuse | Delay | Halve | DisturbWatch | SkewClock, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for. `resource` is plural and group as in `jobs.batch`, "" for discovery and health."""

    verb: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    agent: str = ""


class Rule(_Form):
    """Strikes matching requests with `fault`; empty conditions match everything, texts may be globs.

    Of the matching requests the first `after` pass; of the others each is struck with `probability`, until
    `count` were (None: no end).
    """

    fault: Fault
    verbs: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    after: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=0)] | None = None

    def matches(self, ask: Ask) -> bool:
        """Whether the rule is about this request."""
        pairs = (
            (self.verbs, ask.verb),
            (self.resources, ask.resource),
            (self.namespaces, ask.namespace),
            (self.names, ask.name),
            (self.agents, ask.agent),
        )
        return _possible(self.fault, ask) and all(_fits(patterns, value) for patterns, value in pairs)


class FaultPlan(_Form):
    """Rules and the seed that decides for all of them."""

    seed: int = 0
    rules: tuple[Rule, ...] = ()


def _fits(patterns: tuple[str, ...], value: str) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)


def _possible(fault: Fault, ask: Ask) -> bool:
    """A watch has no half, and only a watch has events; only leases hold clocks."""
    if isinstance(fault, DisturbWatch):
        return ask.verb == "watch"
    if isinstance(fault, Halve):
        return ask.verb != "watch"
    if isinstance(fault, SkewClock):
        return ask.resource == "leases.coordination.k8s.io" and ask.verb in ("create", "update", "patch")
    return True
