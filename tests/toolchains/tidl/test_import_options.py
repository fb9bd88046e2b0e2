from pathlib import Path

import pytest

from dms_operator.api.errors import InvalidSpec
from dms_operator.api.target_options.tidl_socs import soc_named
from dms_operator.toolchains.tidl.import_config import Config
from dms_operator.toolchains.tidl.import_options import main, options_from

TDA4VM = soc_named("J721E")


def test_a_legacy_configuration_becomes_target_options() -> None:
    config: Config = {
        "modelType": 2,
        "inputNetFile": "m.onnx",
        "numParamBits": 16,
        "quantizationStyle": 3,
        "calibrationOption": 7,
        "biasCalibrationIterations": 30,
        "numFramesBiasCalibration": 25,
        "enableHighResOptimization": 1,
        "mixedPrecisionFactor": -1.0,
    }
    options, left = options_from(config, TDA4VM)
    assert options == {
        "tensor-bits": "16",
        "quantization-scale-type": "1",
        "accuracy-level": "1",
        "calibration-iterations": "30",
        "calibration-frames": "25",
        "high-resolution": "1",
    }
    assert left == ["modelType", "inputNetFile"]


def test_the_bits_of_the_calibration_option_become_switches() -> None:
    options, _ = options_from({"calibrationOption": 9, "biasCalibrationIterations": 5}, TDA4VM)
    assert options == {
        "accuracy-level": "9",
        "activation-clipping": "1",
        "weight-clipping": "0",
        "bias-calibration": "0",
        "channel-wise-quantization": "1",
    }


def test_what_the_chip_cannot_do_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="not possible on TDA4VM"):
        options_from({"quantizationStyle": 4}, TDA4VM)
    assert options_from({"quantizationStyle": 4}, soc_named("am68a"))[0] == {"quantization-scale-type": "4"}


def test_the_command_prints_options_and_what_was_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "import.txt").write_text("modelType = 2\nnumParamBits = 8\n")
    assert main([str(tmp_path / "import.txt")]) == 0
    assert capsys.readouterr().out == 'options:\n  tensor-bits: "8"\n# left behind: modelType\n'
