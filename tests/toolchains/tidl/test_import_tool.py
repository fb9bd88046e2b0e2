"""The legacy route against TI's command line tool, faked as documented."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from dms_operator.api.errors import ConversionFailed, DatasetInvalid, InvalidSpec, ToolchainUnavailable
from dms_operator.api.target_options.tidl import TidlOptions, parse_options
from dms_operator.api.target_options.tidl_socs import soc_named
from dms_operator.toolchains.tidl.import_config import Config, read_config, write_config
from dms_operator.toolchains.tidl.import_tool import config_for, import_argv, import_model, run_import
from model_fixtures import INPUT_NAME, tiny_classifier
from toolchains.qdq import samples

FAKE = Path(__file__).parent / "fixtures" / "tidl_model_import.py"


def options(**given: str) -> TidlOptions:
    return parse_options({key.replace("_", "-"): value for key, value in given.items()}, soc_named("J721E"))


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    directory = tmp_path / "tidl tools"
    directory.mkdir()
    tool = directory / "tidl_model_import.out"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    tool.chmod(0o755)
    (directory / "device_config.cfg").write_text("MSMCSIZE_KB = 7968\n")
    return directory


@pytest.fixture
def model(tmp_path: Path) -> onnx.ModelProto:
    return onnx.load(tiny_classifier(tmp_path / "float.onnx"))


def test_the_tool_is_called_with_its_configuration_first() -> None:
    argv = import_argv(Path("/t/tidl_model_import.out"), Path("/w/import.txt"), numParamBits=16)
    assert argv == ["/t/tidl_model_import.out", "/w/import.txt", "--numParamBits", "16"]


def test_an_import_gives_network_and_description(model: onnx.ModelProto, tools: Path, workdir: Path) -> None:
    files = import_model(model, samples(3), options(), tools, workdir)
    assert {name: path.read_bytes() for name, path in files.items()} == {
        "model_tidl_net.bin": b"NET",
        "model_tidl_io_1.bin": b"IO",
    }
    assert {path.name for path in workdir.iterdir()} == set(files)


def test_the_configuration_says_what_the_options_say(model: onnx.ModelProto, tools: Path, workdir: Path) -> None:
    chosen = options(tensor_bits="16", accuracy_level="0", output_16bit_names="conv1_out")
    config = config_for(model, chosen, tools, workdir, 20)
    assert (config["quantizationStyle"], config["numParamBits"], config["calibrationOption"]) == (3, 16, 0)
    assert (config["inNumChannels"], config["inHeight"], config["inWidth"]) == ((3,), (16,), (16,))
    assert config["outputFeature16bitNamesList"] == "conv1_out" and config["deviceName"] == 0
    assert read_config(write_config(config)) == config


def test_a_mixed_precision_factor_is_passed_on(model: onnx.ModelProto, tools: Path, workdir: Path) -> None:
    assert config_for(model, options(mixed_precision_factor="1.2"), tools, workdir, 1)["mixedPrecisionFactor"] == 1.2


def test_the_tools_own_words_explain_a_refusal(tools: Path, workdir: Path) -> None:
    config: Config = {"modelType": 2, "inputNetFile": "/nowhere.onnx", "metaArchType": 3}
    with pytest.raises(ConversionFailed, match=r"exited with code 1.*Invalid parameter in config file: metaArchType"):
        run_import(tools / "tidl_model_import.out", config, workdir, options())


def test_an_incomplete_result_is_refused_and_leaves_nothing(model: onnx.ModelProto, tools: Path, workdir: Path) -> None:
    (tools / "device_config.cfg").write_text("--forget-io")
    with pytest.raises(ConversionFailed, match=r"reported success, but left no model_tidl_io_1\.bin"):
        import_model(model, samples(1), options(), tools, workdir)
    assert not list(workdir.iterdir())


def test_a_missing_tool_is_named(model: onnx.ModelProto, tmp_path: Path, workdir: Path) -> None:
    with pytest.raises(ToolchainUnavailable, match=r"tidl_model_import.out is not in TIDL_TOOLS_PATH"):
        import_model(model, samples(1), options(), tmp_path, workdir)


def test_samples_of_another_layout_never_reach_the_tool(model: onnx.ModelProto, tools: Path, workdir: Path) -> None:
    turned = [{INPUT_NAME: np.zeros((1, 16, 16, 3), np.float32)}]
    with pytest.raises(DatasetInvalid, match="channels last"):
        import_model(model, turned, options(), tools, workdir)


def test_an_asymmetric_configuration_of_a_user_is_refused_for_tda4vm(tools: Path, workdir: Path) -> None:
    with pytest.raises(InvalidSpec, match="not possible on TDA4VM"):
        run_import(tools / "tidl_model_import.out", {"quantizationStyle": 4}, workdir, options())
