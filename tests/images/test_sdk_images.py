"""The converters whose SDK users bring: what they say without it, and a conversion with a fake one that is mounted.

The fakes are those of the contract tests: they refuse what the vendors' documented tools refuse.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dms_operator.api.capabilities import ToolchainName
from dms_operator.api.errors import TERMINAL_EXIT_CODE
from dms_operator.api.stages import ConvertRecipe, StageRequest, StageResult
from dms_operator.artifacts.store import open_store
from images import containers
from model_fixtures import tiny_classifier
from toolchains.qdq import quantized
from toolchains.snpe_sdk.fakes import FakeSdk
from toolchains.tidl.conftest import FAKE_SITE, TOOL_FILES
from toolchains.tidl.models import fixed_point

pytestmark = [pytest.mark.images, pytest.mark.slow]
Convert = Callable[..., tuple[int, StageResult]]
WITHOUT_SDK: dict[str, tuple[ToolchainName, str, str]] = {
    "converter-snpe": ("snpe-sdk", "sa8255", "the QAIRT/SNPE SDK is not installed in the converter image: set one of"),
    "converter-tidl": ("tidl", "tda4vm", "TIDL tools are not installed in the converter image: set TIDL_TOOLS_PATH"),
}


@pytest.fixture
def convert(built: None, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Convert:
    """`convert(image, toolchain, board, model)` runs stage convert in an image, and gives exit code and result."""
    monkeypatch.setenv("DMS_FILE_ROOTS", str(tmp_path))
    artifacts = containers.open_folder(tmp_path / "artifacts")

    def run(
        image: str,
        toolchain: ToolchainName,
        board: str,
        model: Path,
        volumes: Mapping[Path, str] = {},
        env: Mapping[str, str] = {},
    ) -> tuple[int, StageResult]:
        variant = open_store(artifacts.as_uri()).put({"model.onnx": model})
        recipe = ConvertRecipe(
            image=containers.reference(image), variant=variant.digest, board=board, toolchain=toolchain
        )
        request = StageRequest(deployment="images/test", store="file:///artifacts", recipe=recipe)
        for folder in artifacts.rglob("*"):
            folder.chmod(0o777 if folder.is_dir() else 0o644)
        command = containers.command(
            image,
            scratch=scratch,
            volumes={artifacts: "/artifacts", **volumes},
            env={"DMS_REQUEST": json.dumps(request.to_wire()), **env},
        )
        done = containers.podman(*command)
        lines = [line for line in done.stdout.splitlines() if line.startswith("@result ")]
        assert len(lines) == 1, done.stdout + done.stderr
        return done.returncode, StageResult.model_validate_json(lines[0].removeprefix("@result "))

    return run


@pytest.mark.parametrize("image", WITHOUT_SDK)
def test_without_the_sdk_a_converter_says_what_to_mount(image: str, convert: Convert, tmp_path: Path) -> None:
    toolchain, board, message = WITHOUT_SDK[image]
    code, result = convert(image, toolchain, board, tiny_classifier(tmp_path / "model.onnx"))
    assert code == TERMINAL_EXIT_CODE
    assert result.failure is not None and result.failure.reason == "ToolchainUnavailable"
    assert message in result.failure.message and not result.failure.retryable


def test_a_mounted_qairt_sdk_converts(convert: Convert, tmp_path: Path) -> None:
    sdk = FakeSdk(tmp_path / "qairt", python=containers.PYTHON)
    containers.open_folder(containers.readable(sdk.root))  # the fake writes down how it was called
    model = quantized(tiny_classifier(tmp_path / "float.onnx"), tmp_path / "model.onnx")
    code, result = convert(
        "converter-snpe", "snpe-sdk", "sa8255", model, {sdk.root: "/opt/qairt"}, {"QAIRT_SDK_ROOT": "/opt/qairt"}
    )
    assert code == 0, result.failure
    assert sdk.tools == ["qairt-converter", "qairt-quantizer", "qnn-context-binary-generator"]
    assert result.compiled is not None and result.compiled.soc == "SA8255" and result.artifact is not None


def test_the_sdks_tools_find_the_python_that_is_mounted_for_them(built: None, scratch: Path, tmp_path: Path) -> None:
    python = script(tmp_path / "qairt-python" / "bin" / "python3", "echo mounted")
    command = containers.command(
        "converter-snpe",
        *("-c", "env python3; dms version"),
        scratch=scratch,
        volumes={python.parents[1]: "/opt/qairt-python:ro"},
        entrypoint="/bin/sh",
    )
    assert containers.podman(*command).stdout.splitlines()[0] == "mounted"


def test_mounted_tidl_tools_convert(convert: Convert, tmp_path: Path) -> None:
    tools, site = tmp_path / "tidl_tools", tmp_path / "tidl-python"
    tools.mkdir()
    for name in TOOL_FILES:
        (tools / name).write_bytes(b"x")
    script(site / "bin" / "python3.10", f'PYTHONPATH=/opt/tidl-site exec {containers.PYTHON} "$@"')
    model = fixed_point(tiny_classifier(tmp_path / "float.onnx"), tmp_path / "model.onnx")
    volumes = {tools: "/opt/tidl_tools:ro", site: "/opt/tidl-python:ro", FAKE_SITE: "/opt/tidl-site:ro"}
    env = {"TIDL_TOOLS_PATH": "/opt/tidl_tools", "SOC": "am68pa"}
    code, result = convert("converter-tidl", "tidl", "tda4vm", model, volumes, env)
    assert code == 0, result.failure
    assert result.compiled is not None and result.compiled.soc == "J721E"
    assert "onnxruntime_tidl 1.15.0" in result.compiled.tool_version


def script(path: Path, body: str) -> Path:
    """A program of the shell that any user may run."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    containers.readable(path.parents[1])
    path.chmod(0o755)
    return path
