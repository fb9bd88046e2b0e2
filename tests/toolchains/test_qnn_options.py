import pytest

from dms_operator.api.capabilities import BOARDS
from dms_operator.api.errors import InvalidSpec
from dms_operator.api.target_options.qnn import OPTIONS, parse_options
from dms_operator.api.target_options.qnn_socs import SOCS, boards_of, soc_of


def test_without_options_nothing_may_fall_back_to_the_cpu() -> None:
    chosen = parse_options({})
    assert not chosen.allow_cpu and chosen.allowed_cpu_share == 0
    assert (chosen.soc.name, chosen.vtcm_mb, chosen.optimization) == ("SA8255", 8, "3")
    assert (chosen.performance_mode, chosen.io_on_cpu, chosen.batch) == ("burst", False, None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"allow-cpu-fallbak": "true"},
            "no option 'allow-cpu-fallbak': did you mean allow-cpu.*It knows allow-",
        ),
        ({"allow-cpu-fallback": "yes"}, "Write true, false, or a share of the nodes such as 5%"),
        ({"allow-cpu-fallback": "101%"}, "Write true, false, or a share"),
        ({"graph-optimization": "4"}, "Write one of 3, 2, 1"),
        ({"performance-mode": "turbo"}, "burst, balanced"),
        ({"io-quantization": "gpu"}, "npu, cpu"),
        ({"vtcm": "16"}, r"1 to 8 \(SA8255 has 8 MiB\)"),
        ({"vtcm": "0"}, "1 to 8"),
        ({"vtcm": "²"}, "1 to 8"),
        ({"htp-arch": "v75"}, "SA8255 has v73"),
        ({"soc": "SA8295"}, r"carries SA8255 v73 and is not built for under that.*Write SA8255 \(52\), or"),
        ({"soc": "S32G"}, "option soc is S32G"),
        ({"batch": "zero"}, "whole number from 1"),
        ({"layer-profile": "maybe"}, "true, false"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_right(options: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        parse_options(options, "qcs8255")


@pytest.mark.parametrize("key", OPTIONS)
def test_every_option_may_be_written_with_a_value_that_the_table_names(key: str) -> None:
    fitting = {"allow-cpu-fallback": "5%", "soc": "52", "htp-arch": "v73", "vtcm": "4", "batch": "1"}
    parse_options({key: fitting.get(key, OPTIONS[key].default)}, "sa8255")


def test_a_share_of_cpu_nodes_is_a_limit() -> None:
    assert parse_options({"allow-cpu-fallback": "5%"}).allowed_cpu_share == 0.05
    assert parse_options({"allow-cpu-fallback": "true"}).allowed_cpu_share == 1


def test_a_board_may_be_built_for_under_its_die_familys_other_name() -> None:
    assert parse_options({"soc": "35"}, "qcs6490").soc.name == "SM7325"
    assert parse_options({"soc": "SM8550"}, "qcs8550").soc.model == 43


def test_both_qualcomm_8255_boards_carry_the_same_soc() -> None:
    assert soc_of("qcs8255") == soc_of("sa8255")
    assert soc_of("qcs8255").title == "SA8255 v73"


def test_the_catalog_and_the_capability_table_name_the_same_socs() -> None:
    for board in BOARDS.values():
        if "qnn" in board.toolchains:
            assert soc_of(board.name).name == board.soc
    named = {board for soc in SOCS.values() for board in boards_of(soc)}
    assert named == {board.name for board in BOARDS.values() if "qnn" in board.toolchains}


def test_a_board_without_qualcomm_npu_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="tda4vm"):
        soc_of("tda4vm")
