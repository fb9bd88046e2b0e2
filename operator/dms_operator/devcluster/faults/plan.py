"""Which rules strike a request. Pure: the same plan and the same requests give the same faults.

What a rule does to its n-th matching request depends on the seed, the rule's place and n alone. So requests
that it does not match, and other rules, do not change what it does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from dms_operator.devcluster.faults.rules import Ask, Delay, Fault, FaultPlan, Rule


class Tally(NamedTuple):
    """How many requests a rule matched, and how many of them it struck."""

    matched: int = 0
    struck: int = 0


Tallies = tuple[Tally, ...]


def fresh(plan: FaultPlan) -> Tallies:
    """The tallies of a plan that has seen nothing."""
    return (Tally(),) * len(plan.rules)


def decide(plan: FaultPlan, tallies: Tallies, ask: Ask) -> tuple[tuple[Fault, ...], Tallies]:
    """The faults that strike this request, in the order of their rules, and the tallies after it.

    Delays come back with their jitter drawn.
    """
    struck: list[Fault] = []
    after: list[Tally] = []
    for place, (rule, tally) in enumerate(zip(plan.rules, tallies, strict=True)):
        fault = _strike(plan.seed, place, rule, tally) if rule.matches(ask) else None
        if fault is not None:
            struck.append(fault)
        matched = tally.matched + rule.matches(ask)
        after.append(Tally(matched, tally.struck + (fault is not None)))
    return tuple(struck), tuple(after)


def decide_all(plan: FaultPlan, asks: Sequence[Ask]) -> list[tuple[Fault, ...]]:
    """The faults of a sequence of requests."""
    tallies, decisions = fresh(plan), []
    for ask in asks:
        struck, tallies = decide(plan, tallies, ask)
        decisions.append(struck)
    return decisions


def _strike(seed: int, place: int, rule: Rule, tally: Tally) -> Fault | None:
    if tally.matched < rule.after or (rule.count is not None and tally.struck >= rule.count):
        return None
    dice = random.Random(f"{seed}/{place}/{tally.matched}")
    if dice.random() >= rule.probability:
        return None
    fault = rule.fault
    if isinstance(fault, Delay) and fault.jitter:
        return Delay(seconds=fault.seconds + dice.uniform(0, fault.jitter))
    return fault
