from dataclasses import astuple

import pytest

from dms_operator.api.errors import ConversionFailed
from dms_operator.api.target_options.tidl_socs import soc_named
from dms_operator.toolchains.tidl.perfsim import PartCost, parse_macs, parse_perfsim, simulated_latency

CSV = (
    "Layer,MACs,Cycles\n1,118013952,63211\n\nTotal Network Time (us) = 1520.4,\nDDR BW (Mega Bytes) : Total = 2.76,,\n"
)
TDA4VM = soc_named("J721E")


def test_time_and_traffic_are_read_from_the_simulators_csv() -> None:
    assert astuple(parse_perfsim(CSV)) == pytest.approx((1.5204e-3, 2.76e6))


def test_a_csv_without_a_time_is_refused() -> None:
    with pytest.raises(ConversionFailed, match="Total Network Time"):
        parse_perfsim("Layer,Cycles\n1,2\n")


def test_the_netlog_tells_the_multiply_accumulates_without_the_frame_rates() -> None:
    log = "Total Giga Macs : 1.8139\nTotal Giga Macs : 27.2087 @15 fps\n"
    assert parse_macs(log) == pytest.approx(1.8139e9)
    assert parse_macs("nothing") is None


def test_parts_add_up_to_a_simulated_latency() -> None:
    facts = simulated_latency([PartCost(1e-3, 1e6), PartCost(5e-4, 0)], TDA4VM, parts=2, left_on_cpu=0)
    assert facts is not None and (facts.provenance, str(facts.p50)) == ("simulated", "1.500ms")


@pytest.mark.parametrize(("parts", "left"), [(2, 0), (1, 3)])
def test_a_part_without_price_or_work_on_the_arm_cores_gives_no_number(parts: int, left: int) -> None:
    assert simulated_latency([PartCost(1e-3, 1e6)], TDA4VM, parts=parts, left_on_cpu=left) is None
