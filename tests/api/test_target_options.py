"""Options of targets are known before anything runs: what convert would refuse is refused at `kubectl apply`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.capabilities import BOARDS, ToolchainName
from dms_operator.api.errors import InvalidSpec
from dms_operator.api.resource import parse_spec
from dms_operator.api.target_options.check import KNOWN, check_options

from .test_admission_agrees import MINIMAL, admission_problems, operator_accepts


def with_options(board: str, toolchain: ToolchainName, options: dict[str, str]) -> dict[str, Any]:
    target = {"name": "cockpit", "board": board, "toolchain": toolchain, "options": options}
    return MINIMAL | {"targets": [target | {"minProvenance": "estimated"}]}


def told_by_the_operator(spec: dict[str, Any]) -> str:
    with pytest.raises(InvalidSpec) as told:
        parse_spec({"spec": spec})
    return str(told.value)


@pytest.mark.parametrize(
    ("board", "toolchain", "options", "by_admission", "by_operator"),
    [
        (
            "qcs8255",
            "qnn",
            {"performance-mod": "burst"},
            "toolchain qnn has no such option: it knows allow-cpu-fallback, soc, htp-arch, vtcm",
            "target cockpit: toolchain qnn has no option 'performance-mod': did you mean performance-mode?",
        ),
        (
            "tda4vm",
            "tidl",
            {"tensor_bits": "8"},
            "toolchain tidl has no such option: it knows tensor-bits",
            "toolchain tidl has no option 'tensor_bits': did you mean tensor-bits?. It knows tensor-bits",
        ),
        (
            "sa8255",
            "snpe-sdk",
            {"io-quantization": "cpu"},
            "toolchain snpe-sdk has no such option: it knows generation",
            "toolchain snpe-sdk has no option 'io-quantization'",
        ),
        (
            "generic-x86",
            "onnxruntime",
            {"allow-cpu-fallback": "true"},
            "toolchain onnxruntime takes no options",
            "toolchain onnxruntime takes no options, got allow-cpu-fallback",
        ),
        (
            "qcs8255",
            "qnn",
            {"performance-mode": "turbo"},
            "option performance-mode needs one of burst, balanced",
            "option performance-mode is 'turbo'. Write one of burst, balanced",
        ),
        (
            "tda4vm",
            "tidl",
            {"calibration-frames": "0"},
            "calibration-frames, calibration-iterations needs a whole number from 1 to 10000",
            "option calibration-frames is '0'. Write a whole number from 1 to 10000",
        ),
    ],
)
def test_a_wrong_option_is_told_at_apply_with_what_is_known(
    board: str, toolchain: ToolchainName, options: dict[str, str], by_admission: str, by_operator: str
) -> None:
    spec = with_options(board, toolchain, options)
    assert by_admission in " | ".join(admission_problems(spec))
    assert by_operator in told_by_the_operator(spec)


@pytest.mark.parametrize(
    ("board", "toolchain", "options", "says"),
    [
        ("qcs8255", "qnn", {"vtcm": "16"}, r"from 1 to 8 (SA8255 has 8 MiB)"),
        ("qcs8255", "qnn", {"htp-arch": "v75"}, "option htp-arch is 'v75', but SA8255 has v73"),
        ("tda4vm", "tidl", {"quantization-scale-type": "4"}, "its matrix unit has no zero points"),
        (
            "tda4vm",
            "tidl",
            {"tensor-bits": "16"},
            "option tensor-bits does not go with an 8-bit QDQ model",
        ),
        ("tda4vm", "tidl", {"weight-clipping": "0"}, "no effect at accuracy-level 1. Set accuracy-level to 9"),
    ],
)
def test_what_only_the_chip_or_another_option_forbids_is_told_by_the_operator_before_any_stage(
    board: str, toolchain: ToolchainName, options: dict[str, str], says: str
) -> None:
    spec = with_options(board, toolchain, options)
    assert admission_problems(spec) == []
    assert says in told_by_the_operator(spec)


keys = st.sampled_from(sorted({key for known in KNOWN.values() for key in known} | {"vtcn", "Batch"}))
values = st.sampled_from(
    [
        "0",
        "1",
        "3",
        "8",
        "17",
        "99999",
        "0000000001",
        "-1",
        "1.2",
        "true",
        "npu",
        "burst",
        "auto",
        "x",
        "²",
        "",
        "a,b",
        "5%",
    ]
)


@given(st.sampled_from(sorted(BOARDS)), st.data(), st.dictionaries(keys, values, max_size=3))
def test_admission_refuses_no_option_that_the_toolchain_takes_and_every_one_that_it_does_not_know(
    board: str, data: st.DataObject, options: dict[str, str]
) -> None:
    toolchain = data.draw(st.sampled_from(BOARDS[board].toolchains))
    spec = with_options(board, toolchain, options)
    problems = admission_problems(spec)
    if problems:
        assert not operator_accepts(spec)
    if not set(options) <= set(KNOWN[toolchain]):
        assert problems


@pytest.mark.parametrize("toolchain", KNOWN)
def test_every_option_that_is_known_can_be_written(toolchain: ToolchainName) -> None:
    board = next(board.name for board in BOARDS.values() if toolchain in board.toolchains)
    refused = {key for key in KNOWN[toolchain] if not any(takes(toolchain, board, key, value) for value in EXAMPLES)}
    assert refused == (OF_FLOAT_MODELS if toolchain == "tidl" else set())


OF_FLOAT_MODELS = {"mixed-precision-factor", "output-16bit-names", "params-16bit-names"}
"""For models that nothing quantized before: `Tidl.convert` takes them, no deployment has one."""
EXAMPLES = ("8", "1", "true", "2", "auto", "npu", "burst", "SA8255", "v73", "1.2", "a,b", "11.02")


def takes(toolchain: ToolchainName, board: str, key: str, value: str) -> bool:
    levels = {"9": {"accuracy-level": "9"}, "1": {}}
    for level in levels.values() if toolchain == "tidl" else [{}]:
        spec = with_options(board, toolchain, {**level, key: value})
        try:
            check_options(toolchain, board, {**level, key: value})
        except InvalidSpec:
            continue
        assert admission_problems(spec) == []
        return True
    return False
