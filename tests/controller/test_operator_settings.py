"""The operator's settings file."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from dms_operator.controller import board_pods, signing, vehicle_jobs
from dms_operator.controller.settings import OWN_VOLUMES, load_settings

TEXT = """
images:
  resolve: registry.example/dms-resolve:1
  quantize: registry.example/dms-quantize:1
  convert: {qnn: "registry.example/dms-qnn:1"}
deadlines: {convert: 30m}
"""


def test_a_settings_file_is_read_with_defaults(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(TEXT)
    settings = load_settings(path)
    assert settings.images.of("convert", "qnn") == "registry.example/dms-qnn:1"
    assert settings.images.of("convert", "tidl") is None
    assert (settings.deadline("convert"), settings.deadline("quantize")) == (1800, 43_200)


def volume(name: str, path: str) -> str:
    return f"{{name: {name}, mountPath: {path}, source: {{persistentVolumeClaim: {{claimName: c}}}}}}"


@pytest.mark.parametrize(
    "change",
    [
        "colour: red",
        "runAs: {user: 0}",
        "deadlines: {convert: 30}",
        "deadlines: {convert: 10ms}",
        "env: {HOME: /x}",
        f"volumes: [{volume('signing', '/models')}]",
        f"volumes: [{volume('models', '/tmp')}]",
        f"volumes: [{volume('models', '/a')}, {volume('models', '/b')}]",
        f"volumes: [{volume('models', '/a')}, {volume('data', '/a/')}]",
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(TEXT.replace("deadlines: {convert: 30m}", "") + change)
    with pytest.raises(ValidationError):
        load_settings(path)


def test_the_names_of_our_own_volumes_are_those_that_stage_pods_get() -> None:
    assert OWN_VOLUMES == ("scratch", signing.VOLUME, board_pods.VOLUME, vehicle_jobs.VOLUME)
