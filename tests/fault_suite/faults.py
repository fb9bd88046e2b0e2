"""Which fault comes next: drawn from a seed, so that the same seed draws the same faults."""

import random
from collections.abc import Callable
from typing import Any

from dms_operator.devcluster.faults.happenings import (
    CutConnections,
    EvictPod,
    Happening,
    KillPod,
    LoseEvents,
    RestartApi,
    RestartKubelet,
    ReviveNode,
    SilenceNode,
)
from dms_operator.devcluster.faults.rules import Delay, DisturbWatch, Fault, FaultPlan, Halve, Refuse, Rule

_OPERATOR = ("dms-operator*", "kopf*")
NODES = ("build-1", "bench-qcs8255", "bench-tda4vm")
_WRITES = ("create", "patch", "update", "delete")


def _refuse(dice: random.Random) -> Fault:
    code: Any = dice.choice((409, 410, 422, 429, 500, 503, 504))
    return Refuse(code=code, retry_after=1 if code == 429 else None, late=dice.random() < 0.4)


def _delay(dice: random.Random) -> Fault:
    return Delay(seconds=dice.uniform(0.1, 0.8), jitter=0.5)


def _halve(dice: random.Random) -> Fault:
    return Halve(share=dice.uniform(0, 0.9))


def _watch(dice: random.Random) -> Fault:
    how: Any = dice.choice(("cut", "end", "gone", "stall"))
    return DisturbWatch(how=how, after=dice.randrange(6), seconds=1.5 if how == "stall" else 0.0)


_DRAWS: tuple[Callable[[random.Random], Fault], ...] = (_refuse, _delay, _halve, _watch)


def draw_plan(dice: random.Random) -> FaultPlan:
    """One or two rules that strike the operator's requests a few times."""
    rules = []
    for draw in dice.sample(_DRAWS, k=dice.choice((1, 2))):
        fault = draw(dice)
        verbs = () if isinstance(fault, DisturbWatch) else _WRITES
        count, after = dice.randint(1, 5), dice.randrange(4)
        rules.append(Rule(fault=fault, verbs=verbs, agents=_OPERATOR, count=count, after=after, probability=0.7))
    return FaultPlan(seed=dice.randrange(1 << 30), rules=tuple(rules))


def draw_happening(dice: random.Random, namespace: str, victims: list[str]) -> Happening:
    """Something that happens to the API server, a node, or one of these pods."""
    server: list[Callable[[], Happening]] = [
        CutConnections,
        LoseEvents,
        lambda: RestartApi(seconds=dice.uniform(0, 0.4), lose_events=dice.random() < 0.5),
        lambda: RestartKubelet(name=dice.choice(NODES), seconds=dice.uniform(0, 0.5)),
        lambda: SilenceNode(name=dice.choice(NODES), how=dice.choice(("unreachable", "not-ready"))),
        lambda: ReviveNode(name=dice.choice(NODES)),
        lambda: ReviveNode(name=dice.choice(NODES)),
    ]
    if not victims or dice.random() < 0.5:
        return dice.choice(server)()
    victim = dice.choice(victims)
    return dice.choice((KillPod, EvictPod))(namespace=namespace, name=victim)
