"""The capability table: every board has a default toolchain, every refusal a reason."""

import pytest
from pydantic import TypeAdapter, ValidationError

from dms_operator.api.capabilities import (
    BOARDS,
    PRECISIONS,
    TOOLCHAINS,
    BoardType,
    default_toolchain,
    is_baseline,
    precisions_of,
    refusal,
)


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_builds_by_default_with_a_toolchain_that_can_deploy_something(board: str) -> None:
    assert TOOLCHAINS[default_toolchain(board)].deployable


@pytest.mark.parametrize(("board", "toolchain"), [(b.name, t) for b in BOARDS.values() for t in b.toolchains])
def test_every_precision_is_deployable_or_a_baseline_or_refused_with_a_reason(board: str, toolchain: str) -> None:
    for precision in PRECISIONS:
        deployable = precision in precisions_of(board, toolchain)
        verdicts = [deployable, is_baseline(toolchain, precision), bool(refusal(toolchain, precision, board))]
        assert verdicts.count(True) == 1


def test_the_htp_has_no_true_fp32() -> None:
    assert is_baseline("qnn", "fp32")


def test_tidl_refuses_int4_and_names_the_way_out() -> None:
    assert refusal("tidl", "int4", "tda4vm") == "TIDL on TDA4VM has no int4; use int8"


def test_a_chip_without_floating_point_refuses_fp16_at_apply_and_not_hours_later() -> None:
    assert refusal("qnn", "fp16", "qcs6490") == "the HTP of QCS6490 computes integers only; use int8"
    assert refusal("onnxruntime", "fp16", "qcs6490") is None
    assert precisions_of("qcs6490", "qnn") == ["int8", "int4"]


def test_a_board_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValidationError, match=r"there is no board 'toaster': use one of qcs8255, sa8255"):
        TypeAdapter(BoardType).validate_python("toaster")
