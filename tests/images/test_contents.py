"""What is in the images, asked inside them."""

import json

import pytest

from dms_operator import __version__
from images import containers
from images.catalog import images
from images.conftest import RunImage
from images.lock import pins

pytestmark = [pytest.mark.images, pytest.mark.slow]
every_image = pytest.mark.parametrize("name", images())

STAGES = {
    "quantizer": ("pipeline.resolve", "pipeline.quantize", "pipeline.remove", "pipeline.qat.stage"),
    "converter-qnn": ("pipeline.convert", "toolchains.qnn.toolchain"),
    "converter-snpe": ("pipeline.convert", "toolchains.snpe_sdk.toolchain"),
    "converter-tidl": ("pipeline.convert", "toolchains.tidl"),
    "benchmark-runner": (
        *("pipeline.benchmark", "pipeline.convert", "toolchains.onnxruntime_cpu", "toolchains.qnn.toolchain"),
        *("toolchains.snpe_sdk.toolchain", "toolchains.tidl"),
        *("pipeline.prefetch", "pipeline.activate", "pipeline.deactivate", "pipeline.vehicle.smoke_child"),
    ),
}
"""Modules that each image's stages import."""

INSTALLED = """
import importlib.metadata as m, json
print(json.dumps({d.name: d.version for d in m.distributions()}))
"""


@pytest.fixture
def installed(run_image: RunImage, name: str) -> dict[str, str]:
    """Package to version in the image."""
    listing = run_image(name, "-c", INSTALLED, entrypoint=containers.PYTHON)
    return pins("\n".join(f"{package}=={version}" for package, version in json.loads(listing).items()))


@every_image
def test_an_image_holds_its_lock_and_this_project_and_nothing_else(name: str, installed: dict[str, str]) -> None:
    assert installed.pop("dms-operator") == __version__
    assert installed == pins(images()[name].lock.read_text())


@pytest.mark.parametrize("name", ["operator"])
def test_the_operators_image_has_no_machine_learning_library(name: str, installed: dict[str, str]) -> None:
    assert not {"torch", "onnx", "onnxruntime", "numpy", "s3fs", "scipy"} & set(installed)


@pytest.mark.parametrize("name", [name for name in images() if name != "quantizer"])
def test_torch_is_in_the_quantizer_alone(name: str, installed: dict[str, str]) -> None:
    assert not {"torch", "torchao", "triton"} & set(installed)


@pytest.mark.parametrize("name", ["quantizer"])
def test_the_quantizers_torch_is_a_cpu_build(name: str, run_image: RunImage, installed: dict[str, str]) -> None:
    assert run_image(name, "-c", "import torch; print(torch.version.cuda)", entrypoint=containers.PYTHON) == "None\n"
    assert not [package for package in installed if package.startswith("nvidia")]


@pytest.mark.parametrize(("name", "modules"), STAGES.items())
def test_a_stage_finds_everything_that_it_imports(run_image: RunImage, name: str, modules: tuple[str, ...]) -> None:
    code = "\n".join(f"import dms_operator.{module}" for module in modules)
    run_image(name, "-c", code, entrypoint=containers.PYTHON)


UNRESOLVED = """
import pathlib, subprocess
libraries = [path for path in pathlib.Path("/opt/dms").rglob("*.so*") if path.is_file()]
packed = {path.name for path in libraries}
for path in libraries:
    for line in subprocess.run(["ldd", path], capture_output=True, text=True).stdout.splitlines():
        name, arrow, found = line.strip().partition(" => ")
        if found == "not found" and name not in packed:
            print(path.name, "needs", name)
"""
OPTIONAL = ("libcudart.so", "libc10_cuda.so", "libtorch_cuda.so")
"""torchao's kernels for CUDA are loaded only where there is CUDA."""


@every_image
def test_every_native_library_finds_those_that_it_is_linked_with(run_image: RunImage, name: str) -> None:
    lines = run_image(name, "-c", UNRESOLVED, entrypoint=containers.PYTHON).splitlines()
    assert [line for line in lines if not any(optional in line for optional in OPTIONAL)] == []


@pytest.mark.parametrize("name", [name for name in images() if name != "operator"])
def test_a_stage_image_can_reach_every_kind_of_store(run_image: RunImage, name: str) -> None:
    run_image(name, "-c", "import s3fs, gcsfs, aiohttp, ssl", entrypoint=containers.PYTHON)


@every_image
def test_no_compiler_no_installer_and_no_program_with_more_rights_is_left(run_image: RunImage, name: str) -> None:
    tools = "for tool in cc gcc g++ c++ ld as make pip pip3 git curl wget; do command -v $tool; done; true"
    assert run_image(name, "-c", tools, entrypoint="/bin/sh") == ""
    setuid = "find / -xdev -type f -perm /6000 2>/dev/null; true"
    assert run_image(name, "-c", setuid, entrypoint="/bin/sh") == ""
    find_pip = "import importlib.util as u; print(u.find_spec('pip'))"
    assert run_image(name, "-c", find_pip, entrypoint=containers.PYTHON) == "None\n"


@every_image
def test_it_runs_as_a_user_without_rights(run_image: RunImage, name: str) -> None:
    assert run_image(name, "-c", "id -u; id -g", entrypoint="/bin/sh").split() == ["65532", "65532"]
    inside = "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status"
    assert run_image(name, "-c", inside, entrypoint="/bin/sh").split()[1::2] == ["0" * 16, "0" * 16, "1"]


@every_image
def test_any_user_may_run_it_as_on_openshift(run_image: RunImage, name: str) -> None:
    assert run_image(name, "version", user="1000710000:0").strip() == __version__


@every_image
def test_labels_say_what_it_is(built: None, name: str) -> None:
    labels = json.loads(
        containers.podman("inspect", "--format={{json .Config.Labels}}", containers.reference(name)).stdout
    )
    said = {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()}
    assert said["title"] == f"dms-operator {name}" and said["version"] == __version__
    assert len(said["revision"].removesuffix("-dirty")) == 40 and said["description"]
    assert ("Qualcomm" in said["licenses"]) == ("onnxruntime-qnn" in images()[name].lock.read_text())


@every_image
def test_no_secret_of_the_build_is_in_it(run_image: RunImage, name: str) -> None:
    history = containers.podman("history", "--no-trunc", "--format={{.CreatedBy}}", containers.reference(name)).stdout
    assert "PIP_" not in history and "/build/install.sh" not in history  # only its second stage is in the image
    assert run_image(name, "-c", "ls /run/secrets /wheels /build 2>/dev/null; true", entrypoint="/bin/sh") == ""
