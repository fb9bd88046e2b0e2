"""Quantities carry their unit, and a bare number is refused with the reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.quantities import Duration, Power


@pytest.mark.parametrize(
    ("text", "seconds"), [("50ms", 0.05), ("1.5s", 1.5), ("300us", 0.0003), ("2m", 120), ("24h", 86400), ("7ns", 7e-9)]
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert Duration.parse(text).value == pytest.approx(seconds)


@pytest.mark.parametrize(("text", "watts"), [("800mW", 0.8), ("2.5W", 2.5), ("10uW", 1e-5)])
def test_a_power_is_read_in_watts(text: str, watts: float) -> None:
    assert Power.parse(text).value == pytest.approx(watts)


@pytest.mark.parametrize("text", [50, 50.0, "50", "ms", "-5ms", "5 ms", "5MS", "1e3ms", "", None, "5ms\n"])
def test_a_duration_without_a_unit_is_refused_and_an_example_shown(text: object) -> None:
    with pytest.raises(ValueError, match=r"needs a unit.*write for example 50ms"):
        Duration.parse(text)


@given(st.floats(min_value=1e-6, max_value=1e5))
def test_a_formatted_duration_reads_back_to_the_microsecond(seconds: float) -> None:
    assert Duration.of_seconds(seconds).value == pytest.approx(seconds, abs=0.51e-6)


@given(st.floats(min_value=0, max_value=1e5))
def test_formatting_what_was_read_changes_nothing(seconds: float) -> None:
    once = Duration.of_seconds(seconds)
    assert Duration.of_seconds(once.value) == once
