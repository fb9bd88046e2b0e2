"""docs/qualcomm.md holds the tables that the code prints."""

from pathlib import Path

import pytest

from dms_operator.toolchains.qnn.tables import BEGIN, END, tables

PAGE = Path(__file__).parents[2] / "docs" / "qualcomm.md"


@pytest.mark.parametrize("name", tables())
def test_a_table_of_the_page_is_the_one_that_the_code_prints(name: str) -> None:
    text = PAGE.read_text()
    found = text.split(BEGIN.format(name))[1].split(END.format(name))[0].strip()
    assert found == tables()[name], "run python -m dms_operator.toolchains.qnn.tables"
