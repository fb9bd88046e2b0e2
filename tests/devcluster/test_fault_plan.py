"""Which requests faults strike: the same ones whenever the seed, the rules and the requests are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dms_operator.devcluster.faults.plan import decide_all
from dms_operator.devcluster.faults.rules import Ask, Delay, DisturbWatch, FaultPlan, Halve, Refuse, Rule, SkewClock

LEASES = "leases.coordination.k8s.io"
verbs = st.sampled_from(["get", "list", "watch", "create", "update", "patch", "delete"])
asks = st.lists(
    st.builds(
        Ask, verb=verbs, resource=st.sampled_from(["pods", "jobs.batch", LEASES, ""]), agent=st.just("kubectl/1")
    ),
    max_size=40,
)
faults = st.one_of(
    st.builds(Refuse, code=st.sampled_from([409, 429, 503])),
    st.builds(Delay, seconds=st.just(1.0), jitter=st.sampled_from([0.0, 2.0])),
    st.builds(DisturbWatch, how=st.sampled_from(["cut", "stall"])),
    st.builds(Halve),
    st.builds(SkewClock, seconds=st.just(-60.0)),
)
rules = st.builds(
    Rule,
    fault=faults,
    verbs=st.sampled_from([(), ("create",), ("watch", "list")]),
    resources=st.sampled_from([(), ("pods",), ("*.*",)]),
    probability=st.sampled_from([0.0, 0.3, 1.0]),
    after=st.integers(0, 3),
    count=st.none() | st.integers(0, 3),
)
plans = st.builds(FaultPlan, seed=st.integers(0, 5), rules=st.lists(rules, max_size=4).map(tuple))


@given(plans, asks)
def test_the_same_plan_and_requests_give_the_same_faults(plan: FaultPlan, requests: list[Ask]) -> None:
    again = FaultPlan.model_validate_json(plan.model_dump_json())
    assert decide_all(plan, requests) == decide_all(again, requests)


@given(st.integers(0, 5), rules, asks)
def test_a_rule_strikes_only_what_it_matches_and_not_too_often(seed: int, rule: Rule, requests: list[Ask]) -> None:
    decisions = decide_all(FaultPlan(seed=seed, rules=(rule,)), requests)
    matching = [bool(struck) for ask, struck in zip(requests, decisions, strict=True) if rule.matches(ask)]
    struck = sum(map(bool, decisions))
    assert struck == sum(matching)
    assert not any(matching[: rule.after])
    assert rule.count is None or struck <= rule.count
    if rule.probability == 1:
        possible = max(0, len(matching) - rule.after)
        assert struck == (possible if rule.count is None else min(possible, rule.count))


@given(plans, asks, asks)
def test_requests_that_no_rule_matches_change_nothing(plan: FaultPlan, before: list[Ask], others: list[Ask]) -> None:
    strange = [ask for ask in others if not any(rule.matches(ask) for rule in plan.rules)]
    assert decide_all(plan, [*strange, *before])[len(strange) :] == decide_all(plan, before)


@given(plans, rules, asks)
def test_a_rule_that_is_added_changes_nothing_for_the_others(plan: FaultPlan, rule: Rule, requests: list[Ask]) -> None:
    more = FaultPlan(seed=plan.seed, rules=(*plan.rules, rule))
    for alone, together in zip(decide_all(plan, requests), decide_all(more, requests), strict=True):
        assert together[: len(alone)] == alone


def test_another_seed_strikes_other_requests_but_about_as_many() -> None:
    requests = [Ask("create", "pods")] * 1000
    patterns = set()
    for seed in range(5):
        rule = Rule(fault=Refuse(code=500), probability=0.3)
        decisions = decide_all(FaultPlan(seed=seed, rules=(rule,)), requests)
        patterns.add(tuple(map(bool, decisions)))
        assert 200 < sum(map(bool, decisions)) < 400
    assert len(patterns) == 5


def test_jitter_stays_in_its_bounds_and_varies() -> None:
    rule = Rule(fault=Delay(seconds=1, jitter=2))
    delays = [struck[0] for struck in decide_all(FaultPlan(rules=(rule,)), [Ask("get", "pods")] * 50)]
    seconds = [delay.seconds for delay in delays if isinstance(delay, Delay)]
    assert all(1 <= value <= 3 for value in seconds) and len(set(seconds)) == 50


@pytest.mark.parametrize(
    ("conditions", "ask", "expected"),
    [
        ({}, Ask("get", "pods"), True),
        ({"agents": ("kopf*",)}, Ask("get", "pods", agent="kubectl/1.37"), False),
        ({"agents": ("kopf*", "kubectl*")}, Ask("get", "pods", agent="kubectl/1.37"), True),
        ({"namespaces": ("a",), "names": ("x-*",)}, Ask("get", "pods", "a", "x-1"), True),
        ({"namespaces": ("a",), "names": ("x-*",)}, Ask("get", "pods", "b", "x-1"), False),
        ({"resources": ("*.demo.example",)}, Ask("list", "widgets.demo.example"), True),
    ],
)
def test_conditions_are_globs(conditions: dict[str, tuple[str, ...]], ask: Ask, expected: bool) -> None:
    assert Rule(fault=Refuse(code=500), **conditions).matches(ask) is expected  # type: ignore[arg-type]


def test_faults_strike_only_where_they_make_sense() -> None:
    assert not Rule(fault=DisturbWatch(how="cut")).matches(Ask("list", "pods"))
    assert not Rule(fault=Halve()).matches(Ask("watch", "pods"))
    assert not Rule(fault=SkewClock(seconds=1)).matches(Ask("update", "pods"))
    assert Rule(fault=SkewClock(seconds=1)).matches(Ask("update", LEASES))


@pytest.mark.parametrize(
    "nonsense",
    [
        '{"rules": [{"fault": {"kind": "refuse", "code": 200}}]}',
        '{"rules": [{"fault": {"kind": "explode"}}]}',
        '{"rules": [{"fault": {"kind": "halve", "share": 1}}]}',
        '{"rules": [{"fault": {"kind": "halve"}, "probability": 2}]}',
        '{"rule": []}',
    ],
)
def test_nonsense_is_no_plan(nonsense: str) -> None:
    with pytest.raises(ValidationError):
        FaultPlan.model_validate_json(nonsense)
