"""A storm of a minute or two; `make test-faults` blows for as many kills as it is asked for."""

import random
import re

import pytest

from fault_suite.faults import draw_happening, draw_plan
from fault_suite.storm import blow


def test_a_seed_draws_the_same_faults() -> None:
    one, other = random.Random(5), random.Random(5)
    for _ in range(50):
        assert draw_plan(one) == draw_plan(other)
        assert draw_happening(one, "storm", ["pod-1"]) == draw_happening(other, "storm", ["pod-1"])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_promise_is_broken_however_often_the_operator_is_killed() -> None:
    told: list[str] = []
    summary = blow(seed=7, kills=40, report=told.append)
    assert summary.violations == []
    assert summary.kills >= 40
    assert summary.runs >= 6
    counts = [int(changes) for changes in re.findall(r"(\d+) changes checked", "\n".join(told))]
    assert len(counts) > 1 and 0 < counts[0] < counts[-1] <= summary.changes, told
