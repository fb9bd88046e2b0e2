"""The operator's settings file."""

import json
import re
from pathlib import Path

import pytest

from controller.builders import World, deployment
from dms_operator.controller import board_pods, signing, vehicle_jobs
from dms_operator.controller.settings import OWN_VOLUMES, InvalidSettings, load_settings

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
        "tolerations: [{key: my key}]",
        "tolerations: [{key: a, operator: Equals}]",
        "tolerations: [{key: a, effect: NoRun}]",
        "tolerations: [{key: a, operator: Exists, value: b}]",
        "tolerations: [{operator: Equal, value: b}]",
        "tolerations: [{key: a, operator: Exists, tolerationSeconds: 3}]",
        "nodeSelectors: {convert: {my label: x}}",
        "podLabels: {team: a b}",
        f"volumes: [{volume('signing', '/models')}]",
        f"volumes: [{volume('models', '/tmp')}]",
        f"volumes: [{volume('models', '/a')}, {volume('models', '/b')}]",
        f"volumes: [{volume('models', '/a')}, {volume('data', '/a/')}]",
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(TEXT.replace("deadlines: {convert: 30m}", "") + change)
    with pytest.raises(InvalidSettings, match=rf"settings.yaml: .*{re.split('[: {]', change)[0]}"):
        load_settings(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("images: {resolve: a}", r"settings.yaml: images.quantize: Field required. A file that works: examples/"),
        ("", "settings.yaml: Input should be a valid dictionary"),
        ("a: b: c", "settings.yaml is no YAML file that can be read: mapping values are not allowed"),
        (None, "settings.yaml is no YAML file that can be read: .*No such file"),
    ],
)
def test_a_settings_file_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(InvalidSettings, match=words) as told:
        load_settings(tmp_path / "settings.yaml")
    assert "\n" not in str(told.value)


def test_tolerations_reach_the_pod_as_they_are_written(tmp_path: Path) -> None:
    written = [
        {"key": "dms.edge/board", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "a", "value": "b"},
        {"operator": "Exists"},
        {
            "key": "node.kubernetes.io/unreachable",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 30,
        },
    ]
    path = tmp_path / "settings.yaml"
    path.write_text(f"{TEXT}\ntolerations: {json.dumps(written)}")
    [manifest] = World(deployment(), settings=load_settings(path)).reconcile().create
    assert manifest["spec"]["template"]["spec"]["tolerations"] == written


def test_the_names_of_our_own_volumes_are_those_that_stage_pods_get() -> None:
    assert OWN_VOLUMES == ("scratch", signing.VOLUME, board_pods.VOLUME, vehicle_jobs.VOLUME)
