import pytest

from dms_operator.api.errors import InvalidSpec
from dms_operator.api.target_options.tidl import OPTIONS, check_prequantized, parse_options
from dms_operator.api.target_options.tidl_socs import soc_named
from dms_operator.toolchains.tidl.tools import line_of

TDA4VM, AM68A, AM69A = (soc_named(name) for name in ("J721E", "am68a", "AM69A"))
ADVANCED = "advanced_options:"


def test_tda4vm_works_in_powers_of_two_unless_told_otherwise() -> None:
    told = parse_options({}, TDA4VM).for_provider(prequantized=False)
    assert told[f"{ADVANCED}quantization_scale_type"] == "1"
    assert (told["tensor_bits"], told["accuracy_level"], told["max_num_subgraphs"]) == ("8", "1", "16")
    assert (told[f"{ADVANCED}calibration_frames"], told[f"{ADVANCED}calibration_iterations"]) == ("20", "50")


def test_its_siblings_work_asymmetrically_as_ti_advises() -> None:
    assert parse_options({}, AM68A).for_provider(prequantized=False)[f"{ADVANCED}quantization_scale_type"] == "4"


@pytest.mark.parametrize("kind", ["3", "4"])
def test_asymmetric_scales_are_refused_on_tda4vm_with_the_reason(kind: str) -> None:
    with pytest.raises(InvalidSpec, match=r"not possible on TDA4VM: its matrix unit has no zero points. Use 1"):
        parse_options({"quantization-scale-type": kind}, TDA4VM)
    assert parse_options({"quantization-scale-type": kind}, AM68A)["quantization-scale-type"] == kind


def test_tables_of_accuracy_level_9_are_told_only_there() -> None:
    basic = parse_options({"accuracy-level": "0"}, TDA4VM).for_provider(prequantized=False)
    by_hand = parse_options({"accuracy-level": "9"}, TDA4VM).for_provider(prequantized=False)
    assert f"{ADVANCED}calibration_iterations" not in basic and f"{ADVANCED}activation_clipping" not in basic
    assert by_hand[f"{ADVANCED}activation_clipping"] == "1" and f"{ADVANCED}calibration_iterations" not in by_hand


def test_a_qdq_model_is_imported_by_its_own_ranges() -> None:
    told = parse_options({}, TDA4VM).for_provider(prequantized=True)
    assert told[f"{ADVANCED}prequantized_model"] == "1" and told[f"{ADVANCED}calibration_frames"] == "1"


def test_our_own_options_never_reach_tis_tools() -> None:
    given = {"estimate-only": "true", "import-timeout": "60", "board-release": "11.02", "allow-cpu-fallback": "true"}
    told = parse_options(given | {"perfsim": "false"}, TDA4VM).for_provider(prequantized=False)
    assert all(name.startswith(ADVANCED) or name in {option.ti for option in OPTIONS} for name in told)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tensor_bits": "8"}, r"no option 'tensor_bits': did you mean tensor-bits\?. It knows tensor-bits"),
        ({"tensor-bits": "32"}, r"'32'. Write one of 8, 16"),
        ({"calibration-frames": "0"}, "a whole number from 1 to 10000"),
        ({"calibration-frames": "²"}, "a whole number"),
        ({"max-subgraphs": "17"}, "from 1 to 16"),
        ({"mixed-precision-factor": "0.9"}, "a latency factor above 1"),
        ({"mixed-precision-factor": "nan"}, "a latency factor above 1"),
        ({"mixed-precision-factor": "fast"}, "a latency factor above 1"),
        ({"deny-layer-names": "a,,b"}, "names separated by commas"),
        ({"allow-layer-names": "a", "deny-layer-types": "Add"}, "cannot be used together"),
        ({"mixed-precision-factor": "1.2", "tensor-bits": "16"}, "needs tensor-bits 8"),
        ({"num-cores": "2"}, "TDA4VM has 1"),
        ({"core-number": "2"}, "core-number is 2, TDA4VM has 1"),
        ({"core-start": "0"}, "1 to 8"),
        ({"firmware-version": "../11"}, "letters, digits"),
        ({"batch-mode": "yes"}, "one of 0, 1"),
        ({"activation-clipping": "0"}, r"no effect at accuracy-level 1. Set accuracy-level to 9"),
        ({"board-release": "eleven"}, "the board's SDK release"),
        ({"allow-cpu-fallback": "101%"}, "true, false, or a share"),
        ({"allow-cpu-fallback": "5"}, "true, false, or a share"),
        ({"estimate-only": "yes"}, "one of false, true"),
    ],
)
def test_a_value_that_tis_tools_would_not_take_is_refused_with_what_to_write(
    given: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        parse_options(given, TDA4VM)


def test_mixed_precision_is_told_with_ti_s_factor() -> None:
    told = parse_options({"mixed-precision-factor": "1.2"}, TDA4VM).for_provider(prequantized=False)
    assert told[f"{ADVANCED}mixed_precision_factor"] == "1.2"


@pytest.mark.parametrize(
    "given", [{"tensor-bits": "16"}, {"mixed-precision-factor": "1.2"}, {"output-16bit-names": "a"}]
)
def test_a_qdq_model_takes_no_option_about_its_precision(given: dict[str, str]) -> None:
    with pytest.raises(InvalidSpec, match="does not go with an 8-bit QDQ model"):
        check_prequantized(parse_options(given, TDA4VM))
    check_prequantized(parse_options({"tensor-bits": "8"}, TDA4VM))


def test_four_cores_are_there_where_the_chip_has_them() -> None:
    assert parse_options({"num-cores": "4", "inference-mode": "2"}, AM69A)["num-cores"] == "4"


@pytest.mark.parametrize(("release", "line"), [("11_02_07_00", "11.2"), ("10.1", "10.1"), ("09_02_06_00", "9.2")])
def test_a_release_line_is_major_and_minor(release: str, line: str) -> None:
    assert line_of(release) == line
