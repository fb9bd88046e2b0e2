"""The board catalog: rows hold together, figures have sources, what nobody states is unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.catalog import BOARDS, QNN_CHIPS, Fact, parse_catalog

ROW = """
[socs]
X1 = {{ qnn = {{ model = 1, architecture = 73, vtcm_mb = 8 }} }}
[boards.b]
title = "B"
soc = "{soc}"
machine = "aarch64"
toolchains = {toolchains}
{more}
"""


def parsed(soc: str = "X1", toolchains: str = '["qnn"]', more: str = "") -> object:
    return parse_catalog(ROW.format(soc=soc, toolchains=toolchains, more=more))[1]["b"]


def test_every_qualcomm_board_knows_how_the_compiler_calls_its_chip() -> None:
    for board in BOARDS.values():
        assert (board.qnn is not None) == ("qnn" in board.toolchains), board.name
        assert board.qnn is None or board.qnn == QNN_CHIPS[board.soc]


def test_every_public_figure_names_its_source() -> None:
    facts = [fact for board in BOARDS.values() for fact in vars(board).values() if isinstance(fact, Fact)]
    assert facts and all(len(fact.source) > 10 for fact in facts)


def test_what_no_public_source_states_is_unknown() -> None:
    assert BOARDS["sa8797"].tops is None and BOARDS["generic-x86"].memory_gb is None


def test_the_seeds_guidance_is_in_the_price_classes() -> None:
    classes = {board.name: board.price_class.value for board in BOARDS.values() if board.price_class}
    assert classes == {"tda4vm": "entry", "qcs8255": "high-end"}


def test_a_board_is_a_row_of_data() -> None:
    board = parse_catalog(ROW.format(soc="X1", toolchains='["qnn"]', more='tops = { value = 7, source = "sheet" }'))
    assert board[1]["b"].tops == Fact(7, "sheet") and board[1]["b"].qnn == board[0]["X1"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"soc": "Y9"}, "board b carries Y9, which is not among socs"),
        ({"toolchains": '["gcc"]'}, "board b needs toolchains of qnn"),
        ({"toolchains": "[]"}, "board b needs toolchains of qnn"),
        ({"more": "tops = { value = 7 }"}, "tops of board b needs a value and its source"),
        ({"more": 'tops = { value = 7, source = "" }'}, "tops of board b needs a value and its source"),
    ],
)
def test_a_row_that_does_not_hold_together_is_refused(change: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parsed(**change)


@given(st.sampled_from(sorted(BOARDS)))
def test_no_two_boards_share_a_name_or_a_title(name: str) -> None:
    assert [board.title for board in BOARDS.values()].count(BOARDS[name].title) == 1
