"""The legacy route's configuration: `key = value` text for tidl_model_import.out, written and read with types.

Keys, types and defaults: TI's own table in the import tool (`tidl_import_config.cpp`), release 11.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ...api.errors import InvalidSpec

Kind = Literal["integer", "number", "integers", "numbers", "text"]
Value = int | float | tuple[int, ...] | tuple[float, ...] | str
Config = Mapping[str, Value]

_LONGEST_TEXT = 512
"""Characters of a path in TI's parameter structure."""


@dataclass(frozen=True)
class Key:
    """One key: its kind, the values TI allows (integers only), and what it means."""

    kind: Kind
    text: str
    allowed: tuple[int, ...] = ()


def _integers(text: str, *allowed: int) -> Key:
    return Key("integer", text, allowed)


_FLAG = (0, 1)
KEYS: dict[str, Key] = {
    "modelType": _integers("0 Caffe, 1 TensorFlow, 2 ONNX, 3 TFLite", 0, 1, 2, 3),
    "inputNetFile": Key("text", "the model"),
    "inputParamsFile": Key("text", "Caffe weights"),
    "outputNetFile": Key("text", "compiled network to write"),
    "outputParamsFile": Key("text", "prefix of the input and output description to write"),
    "numParamBits": _integers("bits of weights", 8, 16),
    "numFeatureBits": _integers("bits of activations", 8, 16),
    "quantizationStyle": _integers(
        "0 Caffe-Jacinto, 1 dynamic, 2 any scale, 3 powers of two, 4 asymmetric", 0, 1, 2, 3, 4
    ),
    "calibrationOption": _integers(
        "bits: 1 activation range, 2 weight range, 4 bias, 8 per-channel weights, 64 bias range"
    ),
    "activationRangeMethod": _integers("0 histogram", 0),
    "weightRangeMethod": _integers("0 histogram, 1 median", 0, 1),
    "percentileActRangeShrink": Key("number", "percent of activations cut off"),
    "percentileWtRangeShrink": Key("number", "percent of weights cut off"),
    "biasCalibrationFactor": Key("number", "step of bias calibration"),
    "biasCalibrationIterations": _integers("rounds of bias calibration"),
    "preQuantizedModel": _integers("the ONNX model is QDQ", *_FLAG),
    "mixedPrecisionFactor": Key("number", "accepted latency over 8-bit latency, -1 off"),
    "outputFeature16bitNamesList": Key("text", "layers with 16-bit outputs"),
    "params16bitNamesList": Key("text", "layers with 16-bit weights"),
    "quantParamsPrototxtFile": Key("text", "ranges to use instead of calibration"),
    "quantRangeExpansionFactor": Key("number", "widens calibrated ranges"),
    "quantRangeUpdateFactor": Key("number", "updates ranges at run time"),
    "quantRoundAdd": _integers("percent of rounding, 0 to 100"),
    "inData": Key("text", "calibration data, or a list of files"),
    "inFileFormat": _integers("0 encoded images, 1 raw, 2 list of images, 3 list of raw files", 0, 1, 2, 3),
    "inDataFormat": Key("integers", "0 BGR, 1 RGB", _FLAG),
    "inElementType": Key("integers", "0 uint8, 1 int8, 2 uint16, 3 int16", (0, 1, 2, 3)),
    "rawDataInElementType": Key("integers", "as inElementType, 6 float32", (0, 1, 2, 3, 6)),
    "inLayout": Key("integers", "0 NCHW, 1 NHWC", _FLAG),
    "inZeroPoint": Key("integers", "zero points of fixed-point inputs"),
    "inTensorScale": Key("numbers", "scales of fixed-point inputs"),
    "inQuantFactor": Key("numbers", "the same"),
    "inDataNorm": Key("integers", "subtract inMean, multiply by inScale", _FLAG),
    "inDataPadInTIDL": Key("integers", "pad inputs inside TIDL", _FLAG),
    "inMean": Key("numbers", "per channel"),
    "inScale": Key("numbers", "per channel"),
    "inWidth": Key("integers", "of each input"),
    "inHeight": Key("integers", "of each input"),
    "inNumChannels": Key("integers", "of each input"),
    "inDIM1": Key("integers", "fifth dimension of each input"),
    "inDIM2": Key("integers", "sixth dimension of each input"),
    "numBatches": Key("integers", "of each input"),
    "inResizeType": Key("integers", "how images are resized"),
    "resizeWidth": Key("integers", "of images"),
    "resizeHeight": Key("integers", "of images"),
    "inYuvFormat": Key("integers", "0 NV12, -1 none", (-1, 0)),
    "inDataNamesList": Key("text", "inputs to start from"),
    "outDataNamesList": Key("text", "outputs to end at"),
    "outElementType": Key("integers", "as rawDataInElementType", (0, 1, 2, 3, 6)),
    "outElementSize": Key("integers", "bytes of an output value", (1, 2)),
    "outZeroPoint": Key("integers", "zero points of outputs"),
    "outLayout": Key("integers", "0 NCHW, 1 NHWC", _FLAG),
    "outTensorScale": Key("numbers", "scales of outputs"),
    "numFrames": _integers("frames for validation, -1 all"),
    "numFramesBiasCalibration": _integers("frames for bias calibration, -1 all"),
    "foldBnInConv2D": _integers("merge batch norm into convolution", *_FLAG),
    "foldPreBnConv2D": _integers("merge batch norm before convolution", 0, 1, 2),
    "foldEltWiseInConv2D": _integers("must be 0", 0),
    "foldMaxPoolInConv2D": _integers("must be 0", 0),
    "foldDepthToSpaceInConv2D": _integers("merge depth-to-space", *_FLAG),
    "enableBiasFusion": _integers("merge biases", *_FLAG),
    "enableHighResOptimization": _integers("process large inputs in tiles", *_FLAG),
    "enableCustomLayers": _integers("custom layers", *_FLAG),
    "addDataConvertToNet": _integers("bits: 1 inputs, 2 outputs", 0, 1, 2, 3),
    "executeNetworkCompiler": _integers("run the network compiler", *_FLAG),
    "executeQuantsTool": _integers("run calibration", *_FLAG),
    "metaArchType": _integers("kind of detector, -1 none"),
    "metaLayersNamesList": Key("text", "description of the detector"),
    "postProcType": _integers("0 none, 1 classification, 2 detection, 3 segmentation", 0, 1, 2, 3),
    "postProcDataId": _integers("output to post-process"),
    "inferenceMode": _integers("0 one core, 1 throughput, 2 low latency", 0, 1, 2),
    "numCores": _integers("C7x cores"),
    "singleCoreLayersNames": Key("text", "layers on one core"),
    "deviceName": _integers("-1 from perfSimConfig, 0 TDA4VM, 1 to 4 siblings", -1, 0, 1, 2, 3, 4),
    "msmcSizeKB": _integers("on-chip memory, -1 from perfSimConfig"),
    "modelGroupId": _integers("models that share memory, 0 to 127"),
    "perfSimTool": Key("text", "ti_cnnperfsim.out"),
    "perfSimConfig": Key("text", "device_config.cfg"),
    "graphVizTool": Key("text", "tidl_graphVisualiser.out"),
    "modelDumpTool": Key("text", "tidl_dump.out"),
    "tidlStatsTool": Key("text", "PC_dsp_test_dl_algo.out"),
    "fileNameGrpInfo": Key("text", "layer groups"),
    "ddrLayers": Key("integers", "layers kept in DDR, ended by -1"),
    "compileConstraintsFlag": _integers("internal to TI"),
    "debugTraceLevel": _integers("0 to 2", 0, 1, 2),
    "writeTraceLevel": _integers("0 none, 1 fixed point, 2 float", 0, 1, 2, 3),
    "randParams": _integers("random weights", *_FLAG),
}
_NAMED: dict[str, dict[str, int]] = {
    "modelType": {"caffe": 0, "tensorflow": 1, "onnx": 2, "tflite": 3},
    "postProcType": {"disabled": 0, "classification": 1, "detection": 2, "segmentation": 3},
    "foldBnInConv2D": {"true": 1, "false": 0},
    "foldEltWiseInConv2D": {"true": 1, "false": 0},
}
"""Words that TI's parser takes for numbers."""
_LINE = re.compile(r"\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*")
_ASYMMETRIC = 4


def write_config(config: Config) -> str:
    """The configuration as text. Raises InvalidSpec for an unknown key or a value that TI's tool would not take."""
    return "".join(f"{key:<28}= {_text(checked(key, value))}\n" for key, value in config.items())


def read_config(text: str) -> dict[str, Value]:
    """Parse a user's configuration; `#` starts a comment. Raises InvalidSpec, which names the line."""
    found: dict[str, Value] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = _without_comment(line)
        if not content.strip():
            continue
        match = _LINE.fullmatch(content)
        if not match:
            raise InvalidSpec(f"line {number} of the import configuration is not `key = value`: {line.strip()[:80]}")
        try:
            found[match[1]] = checked(match[1], _parsed(match[1], match[2]))
        except InvalidSpec as error:
            raise InvalidSpec(f"line {number} of the import configuration: {error.message}", hint=error.hint) from error
    return found


def checked(key: str, value: Value) -> Value:
    """The value, when TI's tool takes it for this key. Raises InvalidSpec."""
    row = _row(key)
    values = value if isinstance(value, tuple) else (value,)
    if isinstance(value, tuple) != (row.kind in ("integers", "numbers")):
        raise InvalidSpec(f"{key} takes {'several values' if row.kind.endswith('s') else 'one value'}: {value!r}")
    if row.kind == "text":
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT or re.search(r'["\n\r]', value):
            raise InvalidSpec(f"{key} takes a text of at most {_LONGEST_TEXT} characters without quotes: {value!r}")
        return value
    whole = row.kind in ("integer", "integers")
    if any(isinstance(each, (str, bool)) or (whole and not isinstance(each, int)) for each in values):
        raise InvalidSpec(f"{key} takes {'whole numbers' if whole else 'numbers'}: {value!r}")
    if any(not math.isfinite(each) for each in values if not isinstance(each, str)):
        raise InvalidSpec(f"{key} takes finite numbers: {value!r}")
    if row.allowed and any(each not in row.allowed for each in values):
        raise InvalidSpec(f"{key} is {value!r}", hint=f"It is one of {', '.join(map(str, row.allowed))}: {row.text}")
    return value


def check_for_tda4vm(config: Config) -> None:
    """Refuse what TDA4VM's matrix unit cannot do. Raises InvalidSpec."""
    if config.get("quantizationStyle") == _ASYMMETRIC:
        raise InvalidSpec("quantizationStyle 4 (asymmetric) is not possible on TDA4VM", hint="Use 3 (powers of two)")


def _row(key: str) -> Key:
    if key in KEYS:
        return KEYS[key]
    near = next((known for known in KEYS if known.lower() == key.lower()), None)
    raise InvalidSpec(f"tidl_model_import.out knows no key {key}", hint=f"Did you mean {near}?" if near else "")


def _parsed(key: str, text: str) -> Value:
    kind = _row(key).kind
    if kind == "text":
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    words = [_NAMED.get(key, {}).get(word.lower(), word) for word in text.replace(",", " ").split()]
    try:
        if kind in ("integer", "integers"):
            numbers: tuple[int, ...] | tuple[float, ...] = tuple(_integer(word) for word in words)
        else:
            numbers = tuple(_number(word) for word in words)
    except ValueError as error:
        raise InvalidSpec(f"{key} takes numbers: {text!r}") from error
    if not numbers or (len(numbers) > 1 and kind in ("integer", "number")):
        raise InvalidSpec(f"{key} takes one value: {text!r}")
    return numbers if kind in ("integers", "numbers") else numbers[0]


def _integer(word: str | int) -> int:
    """Python reads `1_0` as ten, TI's tool does not."""
    if isinstance(word, int) or re.fullmatch(r"[+-]?[0-9]{1,18}", word):
        return int(word)
    raise ValueError(word)


def _number(word: str | int) -> float:
    if isinstance(word, int) or re.fullmatch(
        r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?", word, re.IGNORECASE
    ):
        return float(word)
    raise ValueError(word)


def _text(value: Value) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return " ".join(map(repr, value)) if isinstance(value, tuple) else repr(value)


def _without_comment(line: str) -> str:
    """Cut at `#`, except inside quotes."""
    quoted = False
    for at, character in enumerate(line):
        quoted ^= character == '"'
        if character == "#" and not quoted:
            return line[:at]
    return line
