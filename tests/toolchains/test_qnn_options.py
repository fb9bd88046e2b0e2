import pytest

from dms_operator.api.errors import InvalidSpec
from dms_operator.toolchains.qnn.options import QnnOptions, parse_options
from dms_operator.toolchains.qnn.socs import soc_of


def test_without_options_nothing_may_fall_back_to_the_cpu() -> None:
    assert parse_options({}) == QnnOptions(allow_cpu=False, optimization="3")


@pytest.mark.parametrize("options", [{"allow-cpu-fallbak": "true"}, {"allow-cpu-fallback": "yes"}])
def test_a_mistyped_option_is_refused_with_what_is_known(options: dict[str, str]) -> None:
    with pytest.raises(InvalidSpec, match=r"allow-cpu-fallback|true"):
        parse_options(options)


def test_both_qualcomm_boards_carry_the_same_soc() -> None:
    assert soc_of("qcs8255") == soc_of("sa8255")
    assert soc_of("qcs8255").title == "SA8255 v73"


def test_a_board_without_qualcomm_npu_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="tda4vm"):
        soc_of("tda4vm")
