"""How builds are asked for: pure functions, and files held against each other. No container runs here."""

from pathlib import Path

import pytest

from dms_operator.api.capabilities import TOOLCHAINS
from images.build import (
    CA_SECRET,
    PIP_SECRET,
    build_command,
    certificates,
    copy_wheels,
    find_engine,
    main,
    pip_settings,
    portable,
    wanted,
)
from images.catalog import REPOSITORY, Image, images

LISTING = """:env:.index-url='https://mine.example/simple'
:env:.find-links='/opt/wheels https://torch.example/cpu'
global.index-url='https://theirs.example/simple'
global.cert='/etc/ssl/mine.pem'
global.extra-index-url='\\nhttps://a.example\\nfile:///srv/wheels'
install.trusted-host='mine.example'
"""


def test_the_environment_decides_what_is_built() -> None:
    found = wanted(
        {"REGISTRY": "registry.example/dms/", "TAG": "1.2", "PLATFORM": "linux/arm64", "BASE": "mine:1"}, "0.1"
    )
    image = images()["operator"]
    assert found.reference(image) == "registry.example/dms/operator:1.2"
    command = build_command("podman", image, found, {"VERSION": "0.1"}, {PIP_SECRET: Path("/x/pip.conf")})
    assert command[:2] == ["podman", "build"] and command[-1] == str(REPOSITORY)
    assert {"--platform=linux/arm64", "--build-arg=BASE=mine:1", "--build-arg=VERSION=0.1"} < set(command)
    assert "--secret=id=pip.conf,src=/x/pip.conf" in command


def test_an_empty_environment_builds_this_version_for_this_machine_on_the_default_base() -> None:
    found = wanted({"REGISTRY": "", "TAG": "", "PLATFORM": "", "BASE": ""}, "0.1")
    assert found.reference(images()["quantizer"]) == "dms/quantizer:0.1"
    command = build_command("docker", images()["quantizer"], found, {}, {})
    assert not [option for option in command if "platform" in option or "BASE" in option]


def test_pips_settings_reach_the_build_but_no_path_of_this_machine() -> None:
    settings = pip_settings(LISTING)
    assert settings["index-url"] == ["https://mine.example/simple"]
    assert portable(settings).splitlines() == [
        "[global]",
        f"cert = /run/secrets/{CA_SECRET}",
        "index-url = https://mine.example/simple",
        "extra-index-url = https://a.example",
        "find-links = https://torch.example/cpu",
        "trusted-host = mine.example",
    ]


def test_wheels_of_local_folders_are_copied_to_where_builds_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, here = tmp_path / "wheels of mine", tmp_path / "images"
    source.mkdir()
    (here / "wheels").mkdir(parents=True)
    (source / "torch-1-py3-none-any.whl").write_bytes(b"wheel")
    (source / "notes.txt").write_text("no wheel")
    monkeypatch.setattr("images.build.HERE", here)
    monkeypatch.setattr("images.build.REPOSITORY", tmp_path)
    copy_wheels({"find-links": [source.as_uri().replace("%20", " "), "https://torch.example"]})
    assert [path.name for path in (here / "wheels").iterdir()] == ["torch-1-py3-none-any.whl"]


def test_a_build_trusts_what_pip_is_told_to_trust(tmp_path: Path) -> None:
    bundle = tmp_path / "mine.pem"
    bundle.write_text("certificates")
    assert certificates({"cert": [str(bundle)]}) == bundle
    assert certificates({"cert": ["/nowhere.pem"]}).is_file()


def test_without_podman_and_docker_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"podman: not installed\n  docker: not installed\nInstall one"):
        find_engine({})


def test_an_engine_that_does_not_answer_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, script in {"podman": "echo no daemon >&2; exit 1", "docker": "exit 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_engine({}) == "docker"
    with pytest.raises(SystemExit, match="podman: no daemon"):
        find_engine({"ENGINE": "podman"})


def test_an_unknown_image_is_refused_with_the_names_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["operater"])
    assert "no image operater; there are operator, quantizer" in capsys.readouterr().err


@pytest.mark.parametrize("image", images().values(), ids=lambda image: image.name)
def test_every_containerfile_follows_the_same_rules(image: Image) -> None:
    text = image.containerfile.read_text()
    assert text.count("ARG BASE=debian:bookworm-slim\n") == 1 and text.count("FROM ${BASE}") == 2
    assert "\nUSER 65532:65532\n" in text and '\nENTRYPOINT ["dms"]\n' in text
    assert f"images/{image.name}/requirements.lock" in text and f'"dms-operator {image.name}"' in text
    assert "COPY --from=build /opt/dms /opt/dms" in text and "ADD" not in text


def test_every_toolchain_with_an_sdk_of_its_own_has_a_converter() -> None:
    converters = {name.removeprefix("converter-") for name in images() if name.startswith("converter-")}
    assert converters == {name.removesuffix("-sdk") for name in TOOLCHAINS if name != "onnxruntime"}
