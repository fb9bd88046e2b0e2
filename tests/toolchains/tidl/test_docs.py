from pathlib import Path

import pytest

from dms_operator.toolchains.tidl.latency import WORST_ERROR
from dms_operator.toolchains.tidl.tables import TABLES

PAGE = Path(__file__).parents[3] / "docs" / "tda4vm.md"


@pytest.mark.parametrize("table", TABLES)
def test_the_page_shows_what_the_command_prints(table: str) -> None:
    assert "\n".join(TABLES[table]()) in PAGE.read_text()


def test_the_page_states_the_error_that_the_bound_uses() -> None:
    assert f"no part in the fit is {round(100 * WORST_ERROR)} %" in PAGE.read_text().replace("\n", " ")
