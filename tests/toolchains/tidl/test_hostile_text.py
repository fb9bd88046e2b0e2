"""Whatever text comes from users or from TI's tools: a value, or one of our own errors."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dms_operator.api.errors import ConversionFailed, DMSError, InvalidSpec
from dms_operator.api.target_options.tidl import OPTIONS, parse_options
from dms_operator.api.target_options.tidl_socs import soc_named
from dms_operator.toolchains.tidl.artifacts import read_offload
from dms_operator.toolchains.tidl.import_config import KEYS, read_config, write_config
from dms_operator.toolchains.tidl.perfsim import parse_macs, parse_perfsim
from dms_operator.toolchains.tidl.tools import line_of

TDA4VM = soc_named("J721E")
numeric = st.text("0123456789.,-+_e% \tnaif²٣", max_size=12)
texts = st.one_of(st.text(max_size=40), numeric)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw builds tables of characters
@given(st.dictionaries(st.sampled_from([option.key for option in OPTIONS]), texts, max_size=4))
def test_options_are_parsed_or_refused(given_options: dict[str, str]) -> None:
    with contextlib.suppress(InvalidSpec):
        options = parse_options(given_options, TDA4VM)
        assert 0 <= options.cpu_share <= 1 and options.frames >= 1
        options.for_provider(prequantized=False)


@given(st.lists(st.tuples(st.sampled_from(list(KEYS)), texts), max_size=4), texts)
def test_a_configuration_is_read_and_can_be_written_again_or_is_refused(
    lines: list[tuple[str, str]], rest: str
) -> None:
    with contextlib.suppress(InvalidSpec):
        config = read_config("\n".join(f"{key} = {value}" for key, value in lines) + "\n" + rest)
        assert read_config(write_config(config)) == config


@given(st.lists(st.integers(-3, 9), max_size=8).map(lambda numbers: "\n".join(map(str, numbers))) | texts)
def test_a_report_of_nodes_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConversionFailed):
        assert all(part for part in read_offload(text).parts)


@given(numeric)
def test_figures_of_the_simulator_are_numbers_or_refused(text: str) -> None:
    with contextlib.suppress(ConversionFailed):
        assert parse_perfsim(f"Total Network Time (us) = {text}\nDDR BW (Mega Bytes) : Total = {text}").seconds >= 0
    parse_macs(f"Total Giga Macs : {text}")


@given(texts)
def test_names_and_releases_are_known_or_refused(text: str) -> None:
    for read in (soc_named, line_of):
        with contextlib.suppress(DMSError):
            read(text)


@pytest.mark.parametrize("value", ["1_0", "²", "0x10", "1e3"])
def test_numbers_that_only_python_reads_are_refused(value: str) -> None:
    with pytest.raises(InvalidSpec):
        read_config(f"numFrames = {value}")
    with pytest.raises(InvalidSpec):
        parse_options({"calibration-frames": value}, TDA4VM)
