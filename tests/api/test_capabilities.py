"""The capability table: every board has a default toolchain, every refusal a reason."""

import pytest

from dms_operator.api.capabilities import BOARDS, PRECISIONS, TOOLCHAINS, default_toolchain, is_baseline, refusal


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_builds_by_default_with_a_toolchain_that_can_deploy_something(board: str) -> None:
    assert TOOLCHAINS[default_toolchain(board)].deployable


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_every_precision_is_deployable_or_a_baseline_or_refused_with_a_reason(toolchain: str) -> None:
    for precision in PRECISIONS:
        deployable = precision in TOOLCHAINS[toolchain].deployable
        verdicts = [deployable, is_baseline(toolchain, precision), bool(refusal(toolchain, precision))]
        assert verdicts.count(True) == 1


def test_the_htp_has_no_true_fp32() -> None:
    assert is_baseline("qnn", "fp32")


def test_tidl_refuses_int4_and_names_the_way_out() -> None:
    assert refusal("tidl", "int4") == "TIDL on TDA4VM has no int4; use int8"
