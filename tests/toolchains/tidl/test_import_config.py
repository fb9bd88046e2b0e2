"""The legacy configuration: what is written is read back, what TI's tool would refuse is refused here."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.errors import InvalidSpec
from dms_operator.toolchains.tidl.import_config import (
    KEYS,
    Key,
    Kind,
    Value,
    check_for_tda4vm,
    checked,
    read_config,
    write_config,
)

TI_EXAMPLE = """\
modelType          = 2
inputNetFile      = "../../test/testvecs/models/public/onnx/resnet18.onnx"   # the model
outputNetFile      = "tidl_net_resnet18.bin"
outputParamsFile   = "tidl_io_resnet18_"
numParamBits = 8
quantizationStyle = 3
calibrationOption = 7

inElementType = 0
inDataNorm  = 1
inMean = 123.675 116.28 103.53
inScale = 0.017125 0.017507 0.017429
inWidth  = 224
inHeight = 224
inNumChannels = 3
numFrames = 1
inData = "list#1.txt"
foldBnInConv2D = true
"""
"""In the form of the examples in TI's RTOS SDK (ti_dl/test/testvecs/config/import/public/onnx)."""


def values(key: Key) -> st.SearchStrategy[Value]:
    integers = st.sampled_from(key.allowed) if key.allowed else st.integers(-(2**31), 2**31 - 1)
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    texts = st.text(st.characters(blacklist_characters='"', blacklist_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60)
    kinds: dict[Kind, st.SearchStrategy[Value]] = {
        "integer": integers,
        "number": numbers,
        "integers": st.lists(integers, min_size=1, max_size=4).map(tuple),
        "numbers": st.lists(numbers, min_size=1, max_size=4).map(tuple),
        "text": texts,
    }
    return kinds[key.kind]


configs = st.fixed_dictionaries({}, optional={name: values(key) for name, key in KEYS.items()})


@given(configs)
def test_a_written_configuration_is_read_back_as_it_was(config: dict[str, Value]) -> None:
    assert read_config(write_config(config)) == config


def test_a_users_configuration_is_imported_with_types() -> None:
    config = read_config(TI_EXAMPLE)
    assert config["inMean"] == (123.675, 116.28, 103.53)
    assert config["inWidth"] == (224,) and config["numParamBits"] == 8 and config["foldBnInConv2D"] == 1
    assert (
        config["inData"] == "list#1.txt"
        and config["inputNetFile"] == "../../test/testvecs/models/public/onnx/resnet18.onnx"
    )


def test_words_that_ti_takes_for_numbers_are_numbers() -> None:
    assert read_config("modelType = onnx")["modelType"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("numParamBits = 8\nnumparambits = 8", r"line 2 .*knows no key numparambits. Did you mean numParamBits"),
        ("modelPath = a.onnx", r"line 1 .*knows no key modelPath"),
        ("numParamBits 8", r"line 1 .* is not `key = value`"),
        ("numParamBits = 4", r"It is one of 8, 16"),
        ("numParamBits = eight", "takes numbers"),
        ("numParamBits = 8 8", "takes one value"),
        ("inMean =", "takes one value"),
        ("inMean = inf", "takes numbers"),
        ("inMean = 1e400", "finite numbers"),
        ("quantizationStyle = 5", "one of 0, 1, 2, 3, 4"),
        ("foldEltWiseInConv2D = 1", "must be 0"),
        ('inputNetFile = "a"b"', "without quotes"),
    ],
)
def test_what_tis_tool_does_not_know_is_refused_by_line(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        read_config(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("numParamBits", "8"),
        ("numParamBits", (8,)),
        ("numParamBits", True),
        ("inMean", 1.0),
        ("inMean", (math.nan,)),
        ("inWidth", (1.5,)),
        ("inputNetFile", 3),
        ("inputNetFile", "x" * 513),
        ("inData", "a\nnumParamBits = 16"),
    ],
)
def test_a_value_of_the_wrong_type_is_never_written(key: str, value: Value) -> None:
    with pytest.raises(InvalidSpec):
        write_config({key: value})


def test_a_value_of_the_right_type_stays() -> None:
    assert checked("mixedPrecisionFactor", 1.2) == 1.2


def test_asymmetric_style_is_refused_for_tda4vm() -> None:
    check_for_tda4vm({"quantizationStyle": 3})
    with pytest.raises(InvalidSpec, match="not possible on TDA4VM"):
        check_for_tda4vm({"quantizationStyle": 4})
