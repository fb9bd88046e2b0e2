"""Power on a fake sysfs tree with the kernel's documented units, and by the real sampling process."""

import sys as python
import time
from pathlib import Path

import pytest

from dms_operator.pipeline.power import (
    PowerMeter,
    PowerUnavailable,
    Reading,
    Sample,
    battery,
    discovery,
    figures,
    find_source,
    hwmon,
    rapl,
)


def write(sys: Path, name: str, value: object) -> Path:
    (sys / name).parent.mkdir(parents=True, exist_ok=True)
    (sys / name).write_text(f"{value}\n")
    return sys / name


def ina226(sys: Path, number: int, microwatts: int, label: str = "", address: str = "1-0040") -> None:
    chip = f"class/hwmon/hwmon{number}"
    write(sys, f"{chip}/name", "ina226")
    write(sys, f"{chip}/power1_input", microwatts)
    if label:
        write(sys, f"{chip}/label", label)
    device = sys / f"devices/i2c/{address}"
    device.mkdir(parents=True, exist_ok=True)
    (sys / chip / "device").symlink_to(device)


def package(sys: Path, energy: int, number: int = 0, name: str = "package-0", span: int = 1_000_000) -> Path:
    zone = f"class/powercap/intel-rapl:{number}"
    write(sys, f"{zone}/name", name)
    write(sys, f"{zone}/max_energy_range_uj", span)
    return write(sys, f"{zone}/energy_uj", energy)


def test_an_ina226_gives_microwatts(tmp_path: Path) -> None:
    ina226(tmp_path, 3, 1_250_000, "VDD_CPU")
    source = find_source(tmp_path)
    assert source.read() == Reading(watts=1.25) and source.name == "hwmon ina226: VDD_CPU"


def test_rails_are_added_and_told_by_label_or_bus_address_never_by_number(tmp_path: Path) -> None:
    ina226(tmp_path, 0, 500_000, "VDD_CPU")
    ina226(tmp_path, 1, 250_000, address="2-0041")
    source = find_source(tmp_path)
    assert source.read() == Reading(watts=0.75)
    assert source.name == "hwmon ina226: VDD_CPU + ina226@2-0041/power1"


def test_the_numbers_of_hwmon_may_change_without_any_effect(tmp_path: Path) -> None:
    for order, directory in (((0, 1), tmp_path / "a"), ((1, 0), tmp_path / "b")):
        ina226(directory, order[0], 500_000, "VDD_CPU")
        ina226(directory, order[1], 9_000_000, "VSYS_TOTAL")
    assert find_source(tmp_path / "a").read() == find_source(tmp_path / "b").read() == Reading(watts=9.0)


def test_a_total_rail_is_not_added_to_the_rails_that_it_feeds(tmp_path: Path) -> None:
    ina226(tmp_path, 0, 500_000, "VDD_CPU")
    ina226(tmp_path, 1, 2_000_000, "SYSTEM")
    assert find_source(tmp_path).name == "hwmon ina226: SYSTEM"


def test_users_name_the_rails_that_make_up_their_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ina226(tmp_path, 0, 500_000, "VDD_CPU")
    ina226(tmp_path, 1, 2_000_000, "SYSTEM")
    monkeypatch.setenv(hwmon.RAILS_VARIABLE, "VDD_CPU")
    assert find_source(tmp_path).read() == Reading(watts=0.5)
    monkeypatch.setenv(hwmon.RAILS_VARIABLE, "VDD_NPU")
    with pytest.raises(PowerUnavailable, match="names VDD_NPU, but the rails are VDD_CPU, SYSTEM"):
        find_source(tmp_path)


def test_an_ina3221_gives_millivolts_and_milliamperes_of_its_enabled_channels(tmp_path: Path) -> None:
    chip = "class/hwmon/hwmon0"
    write(tmp_path, f"{chip}/name", "ina3221")
    for channel, volts, amperes, enabled in ((1, 5000, 200, 1), (2, 3300, 100, 1), (3, 12000, 9000, 0)):
        write(tmp_path, f"{chip}/in{channel}_input", volts)
        write(tmp_path, f"{chip}/curr{channel}_input", amperes)
        write(tmp_path, f"{chip}/in{channel}_enable", enabled)
        write(tmp_path, f"{chip}/in{channel}_label", f"RAIL{channel}")
    source = find_source(tmp_path)
    assert source.read().watts == pytest.approx(5 * 0.2 + 3.3 * 0.1)
    assert source.name == "hwmon ina3221: RAIL1 + RAIL2"


def test_other_chips_of_the_class_measure_no_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "class/hwmon/hwmon0/name", "amdgpu")
    write(tmp_path, "class/hwmon/hwmon0/power1_average", 30_000_000)
    assert hwmon.find(tmp_path) is None
    monkeypatch.setenv(hwmon.CHIPS_VARIABLE, "amdgpu")
    found = hwmon.find(tmp_path)
    assert found and found.read() == Reading(watts=30.0)


def test_rapl_counts_microjoules_and_starts_again_at_its_range(tmp_path: Path) -> None:
    counter = package(tmp_path, 900_000)
    source = rapl.find(tmp_path)
    assert source and source.name == "RAPL package-0"
    assert source.read().joules == pytest.approx(0.9)
    counter.write_text("100000\n")
    assert source.read().joules == pytest.approx(1.1)


def test_packages_are_added_and_the_platform_counter_is_preferred(tmp_path: Path) -> None:
    package(tmp_path, 1_000, 0, "package-0")
    package(tmp_path, 2_000, 1, "package-1")
    package(tmp_path, 9_000, 2, "dram")
    found = rapl.find(tmp_path)
    assert found and found.read().joules == pytest.approx(0.003)
    package(tmp_path, 5_000, 3, "psys")
    platform = rapl.find(tmp_path)
    assert platform and platform.read().joules == pytest.approx(0.005)


@pytest.mark.parametrize("fields", [{"power_now": 7_500_000}, {"current_now": -1_500_000, "voltage_now": 5_000_000}])
def test_a_discharging_battery_gives_the_boards_power(tmp_path: Path, fields: dict[str, int]) -> None:
    for name, value in {"type": "Battery", "status": "Discharging", **fields}.items():
        write(tmp_path, f"class/power_supply/BAT0/{name}", value)
    found = battery.find(tmp_path)
    assert found and found.read().watts == pytest.approx(7.5)


def test_a_charging_battery_says_nothing_about_the_load(tmp_path: Path) -> None:
    for name, value in {"type": "Battery", "status": "Charging", "power_now": 7_500_000}.items():
        write(tmp_path, f"class/power_supply/BAT0/{name}", value)
    with pytest.raises(PowerUnavailable, match="battery BAT0 is charging: unplug the charger"):
        find_source(tmp_path)


def test_without_any_source_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        PowerUnavailable, match="no external meter, no hwmon power monitor, no RAPL counter and no batt"
    ):
        find_source(tmp_path)


def test_a_sensor_that_does_not_answer_is_a_reason_and_another_source_is_tried(tmp_path: Path) -> None:
    ina226(tmp_path, 0, 1, "VDD")
    write(tmp_path, "class/hwmon/hwmon0/power1_input", "broken")
    with pytest.raises(PowerUnavailable, match="power1_input of ina226 says 'broken', not a number"):
        find_source(tmp_path)
    package(tmp_path, 1_000)
    assert find_source(tmp_path).name == "RAPL package-0"


class Entry:
    """An entry point as importlib.metadata gives it."""

    name = "bench-supply"

    def __init__(self, made: object) -> None:
        self._made = made

    def load(self) -> object:
        return lambda: self._made() if isinstance(self._made, type) else self._made


class Supply:
    name = "bench supply"

    def read(self) -> Reading:
        return Reading(watts=4.2)


class Broken:
    def __init__(self) -> None:
        raise ValueError("no such port")


def test_an_external_meter_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ina226(tmp_path, 0, 1_000_000, "VDD")
    monkeypatch.setattr(discovery, "entry_points", lambda group: [Entry(Supply)])
    assert find_source(tmp_path).read() == Reading(watts=4.2)


def test_an_external_meter_that_is_not_attached_or_broken_gives_way_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "entry_points", lambda group: [Entry(None), Entry(Broken)])
    with pytest.raises(PowerUnavailable, match="power meter bench-supply failed: ValueError: no such port"):
        find_source(tmp_path)
    ina226(tmp_path, 0, 1_000_000, "VDD")
    assert find_source(tmp_path).name == "hwmon ina226: VDD"


def at(watts: float, *times: float) -> list[Sample]:
    return [Sample(each, watts=watts) for each in times]


IDLE, LOAD = (0.0, 5.0), (10.0, 20.0)


def test_idle_is_subtracted_and_energy_is_power_over_throughput() -> None:
    samples = at(1.0, 0, 1, 2, 3, 4, 5) + at(99.0, 7) + at(3.0, 10, 12, 14, 16, 18, 20)
    found = figures(samples, IDLE, LOAD, inferences_per_second=100)
    assert (found.idle, found.load, found.above_idle) == (1.0, 3.0, 2.0)
    assert found.joules_per_inference == pytest.approx(0.02)


def test_a_counter_gives_its_rise_over_time() -> None:
    rest = [Sample(time, joules=time * 1.5) for time in range(6)]
    work = [Sample(time, joules=7.5 + (time - 10) * 4.0) for time in range(10, 21)]
    found = figures(rest + work, IDLE, LOAD, inferences_per_second=1)
    assert (found.idle, found.load) == pytest.approx((1.5, 4.0))


def test_samples_at_uneven_times_weigh_by_their_time() -> None:
    rest = at(0.0, 0, 1, 2, 3, 4)
    work = [Sample(10, 2.0), Sample(11, 2.0), Sample(12, 2.0), Sample(12.5, 2.0), Sample(20, 4.0)]
    found = figures(rest + work, IDLE, LOAD, 1)
    assert found.load == pytest.approx((2.5 * 2.0 + 7.5 * 3.0) / 10)


def test_a_load_that_does_not_show_above_idle_is_unavailable_not_zero() -> None:
    samples = at(2.0, 0, 1, 2, 3, 4) + at(2.0, 10, 12, 14, 16, 18)
    with pytest.raises(PowerUnavailable, match="the load's 2000 mW are not above idle's 2000 mW"):
        figures(samples, IDLE, LOAD, 1)


def test_too_few_samples_are_unavailable() -> None:
    with pytest.raises(PowerUnavailable, match="2 samples of load are too few"):
        figures(at(2.0, 0, 1, 2, 3, 4) + at(3.0, 10, 12), IDLE, LOAD, 1)


def test_the_sampling_process_watches_beside_the_load(tmp_path: Path) -> None:
    ina226(tmp_path, 0, 1_500_000, "VDD")
    with PowerMeter(tmp_path, interval=0.01) as meter:
        assert (meter.source, meter.unavailable) == ("hwmon ina226: VDD", "")
        began = time.monotonic()
        time.sleep(0.3)
        ended = time.monotonic()
        found = [sample for sample in meter.samples() if began <= sample.time <= ended]
    assert len(found) >= 5 and {sample.watts for sample in found} == {1.5}


def test_without_a_source_the_sampling_process_says_why(tmp_path: Path) -> None:
    with PowerMeter(tmp_path) as meter:
        assert "no hwmon power monitor" in meter.unavailable
        with pytest.raises(PowerUnavailable, match="no hwmon power monitor"):
            meter.samples()


def test_a_sensor_that_dies_during_the_load_makes_the_figure_unavailable(tmp_path: Path) -> None:
    ina226(tmp_path, 0, 1_500_000, "VDD")
    with PowerMeter(tmp_path, interval=0.01) as meter:
        (tmp_path / "class/hwmon/hwmon0/power1_input").unlink()
        assert meter._process.stdin
        meter._process.wait(timeout=30)
        with pytest.raises(PowerUnavailable, match="No such file"):
            meter.samples()


def test_a_meter_is_an_installed_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real thing: a distribution on the path of the sampling process."""
    info = tmp_path / "bench_supply-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-supply\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dms_operator.power_meters]\nsupply = bench_supply:attach\n")
    (tmp_path / "bench_supply.py").write_text(
        "from dms_operator.pipeline.power import Reading\n\n\n"
        "class Supply:\n    name = 'bench supply'\n\n    def read(self):\n        return Reading(watts=4.2)\n\n\n"
        "def attach():\n    return Supply()\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(path for path in python.path if path)}")
    with PowerMeter(tmp_path) as meter:
        assert meter.source == "bench supply"
