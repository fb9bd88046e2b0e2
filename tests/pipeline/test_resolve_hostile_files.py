"""Files made to run code when loaded: none is ever unpickled, evaluated or executed."""

import functools
import io
import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import model_fixtures
from dms_operator.api.stages import TIME_LIMIT_VARIABLE, TensorSpec
from dms_operator.pipeline.machine import age_seconds
from dms_operator.pipeline.pod_limits import MEMORY_VARIABLE, resident_bytes
from pipeline.stages import Stages, Writer, refused

DECLARED = [TensorSpec(name="frames", shape=[1, 3, 16, 16])]
Program = dict[str, Any]


class Touch:
    """Creates a file when unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.victim), "w")


@pytest.fixture
def victim(stages: Stages) -> Path:
    return stages.root / "victim"


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], extra: dict[str, bytes] | None = None) -> Path:
    """Change members of a torch archive (None removes one), and add some, below its top folder."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    top = next(iter(members)).split("/")[0]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            changed = change(name.partition("/")[2], data)
            if changed is not None:
                archive.writestr(name, changed)
        for name, data in (extra or {}).items():
            archive.writestr(f"{top}/{name}", data)
    return path


def with_program(path: Path, change: Callable[[Program], None]) -> Path:
    def apply(name: str, data: bytes) -> bytes:
        if name != "models/model.json":
            return data
        program = json.loads(data)
        change(program)
        return json.dumps(program).encode()

    return rewritten(good_pt2(path), apply)


@functools.cache
def good_archive() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        return model_fixtures.tiny_pt2(Path(directory) / "net.pt2").read_bytes()


def good_pt2(path: Path) -> Path:
    path.write_bytes(good_archive())
    return path


def torch_saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["net.pt", "net.pt2", "net.onnx"])
def test_a_pickle_is_refused_without_being_unpickled_whatever_its_name(
    zipped: bool, name: str, stages: Stages, victim: Path
) -> None:
    model = model_fixtures.pickle_pt(stages.root / name, victim, zipped=zipped)
    message = refused(stages.resolve(model), "ModelInvalid")
    assert "pickle, which can run code" in message
    assert "torch.export.save" in message
    assert not victim.exists()


def test_the_hostile_pickle_of_these_tests_does_run_code_when_somebody_loads_it(victim: Path) -> None:
    pickle.loads(pickle.dumps(Touch(victim))).close()
    assert victim.exists()


def test_hostile_sample_inputs_of_a_pt2_are_left_out_unread(stages: Stages, victim: Path) -> None:
    hostile = torch_saved(((Touch(victim),), {}))
    model = rewritten(
        good_pt2(stages.root / "net.pt2"),
        lambda name, data: hostile if name == "data/sample_inputs/model.pt" else data,
    )
    assert stages.resolve(model).failure is None
    assert not victim.exists()


def test_torch_itself_would_have_run_those_sample_inputs(stages: Stages, victim: Path) -> None:
    hostile = torch_saved(((Touch(victim),), {}))
    model = rewritten(
        good_pt2(stages.root / "net.pt2"),
        lambda name, data: hostile if name == "data/sample_inputs/model.pt" else data,
    )
    with pytest.raises(Exception):  # noqa: B017 - whatever torch says, what counts is what it did
        torch.export.load(model)
    assert victim.exists()


@pytest.mark.parametrize("flag", [True, None, 1, "yes"])
def test_pickled_weights_of_a_pt2_are_refused(flag: object, stages: Stages, victim: Path) -> None:
    def pickled(name: str, data: bytes) -> bytes:
        if name == "data/weights/model_weights_config.json":
            config = json.loads(data)
            for payload in config["config"].values():
                payload["use_pickle"] = flag
            return json.dumps(config).encode()
        return torch_saved(Touch(victim)) if name == "data/weights/weight_0" else data

    model = rewritten(good_pt2(stages.root / "net.pt2"), pickled)
    assert "pickle" in refused(stages.resolve(model), "ModelInvalid")
    assert not victim.exists()


@pytest.mark.parametrize("path", ["custom_obj_0", "opaque_obj_0", "../weights/weight_0", "tensor_0/../x"])
def test_pickled_objects_among_the_constants_are_refused(path: str, stages: Stages, victim: Path) -> None:
    payload = {"path_name": path, "is_param": False, "use_pickle": False, "tensor_meta": None}
    config = json.dumps({"config": {"bomb": payload}}).encode()
    model = rewritten(
        good_pt2(stages.root / "net.pt2"),
        lambda name, data: config if name == "data/constants/model_constants_config.json" else data,
        {f"data/constants/{path}": pickle.dumps(Touch(victim))},
    )
    refused(stages.resolve(model), "ModelInvalid")
    assert not victim.exists()


@pytest.mark.parametrize("member", ["data/weights/model.pt", "data/constants/model.pt"])
def test_pickles_in_the_old_places_are_ignored(member: str, stages: Stages, victim: Path) -> None:
    model = rewritten(
        good_pt2(stages.root / "net.pt2"), lambda _, data: data, {member: torch_saved({"a": Touch(victim)})}
    )
    assert stages.resolve(model).failure is None
    assert not victim.exists()


def test_compiled_code_in_a_pt2_is_refused(stages: Stages) -> None:
    model = rewritten(
        good_pt2(stages.root / "net.pt2"),
        lambda _, data: data,
        {"data/aotinductor/model/net.so": b"\x7fELF"},
    )
    assert "native code" in refused(stages.resolve(model), "ModelInvalid")


def test_a_second_program_in_a_pt2_is_refused(stages: Stages) -> None:
    model = rewritten(good_pt2(stages.root / "net.pt2"), lambda _, data: data, {"models/other.json": b"{}"})
    assert "exactly one program" in refused(stages.resolve(model), "ModelInvalid")


def test_a_member_stored_twice_is_refused(stages: Stages) -> None:
    model = good_pt2(stages.root / "net.pt2")
    with zipfile.ZipFile(model, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("net/models/model.json", b"{}")
    assert "twice" in refused(stages.resolve(model), "ModelInvalid")


def test_a_pt2_of_the_old_layout_says_how_to_renew_it(stages: Stages) -> None:
    with zipfile.ZipFile(stages.root / "net.pt2", "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("version", "8.0")
    assert "torch.export.save" in refused(stages.resolve(stages.root / "net.pt2"), "ModelInvalid")


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.load",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.save.default",
        "torch.ops.loader.run.default",
        "_operator.methodcaller",
        "math.sqrt",
        "#custom:thing",
        "torch.ops.aten.relu.default.__globals__",
    ],
)
def test_a_program_may_call_plain_tensor_operators_only(target: str, stages: Stages) -> None:
    def call(program: Program) -> None:
        program["graph_module"]["graph"]["nodes"][0]["target"] = target

    message = refused(stages.resolve(with_program(stages.root / "net.pt2", call)), "ModelInvalid")
    assert target in message


@pytest.mark.parametrize("name", ["x=open('victim','w')", "a b", "frames\nimport os", "é" * 3 + "-"])
def test_names_that_would_become_source_code_are_refused(name: str, stages: Stages) -> None:
    def rename(program: Program) -> None:
        program["graph_module"]["graph"]["nodes"][0]["name"] = name

    assert "odd name" in refused(stages.resolve(with_program(stages.root / "net.pt2", rename)), "ModelInvalid")


def test_guards_are_dropped_not_executed(stages: Stages, victim: Path) -> None:
    def guard(program: Program) -> None:
        program["guards_code"] = [f"open({str(victim)!r}, 'w') is not None"]

    assert stages.resolve(with_program(stages.root / "net.pt2", guard)).failure is None
    assert not victim.exists()


def test_shape_expressions_are_refused_not_evaluated(stages: Stages, victim: Path) -> None:
    def expression(program: Program) -> None:
        values = program["graph_module"]["graph"]["tensor_values"]
        values["conv2d"]["sizes"][0] = {"as_expr": {"expr_str": f"open({str(victim)!r}, 'w')", "hint": None}}

    assert "symbolic shapes" in refused(
        stages.resolve(with_program(stages.root / "net.pt2", expression)), "ModelShapeMismatch"
    )
    assert not victim.exists()


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"{", b'{"graph_module": 3}', b"\xff\xfe"])
def test_a_program_that_is_none_is_damaged(text: bytes, stages: Stages) -> None:
    model = rewritten(
        good_pt2(stages.root / "net.pt2"),
        lambda name, data: text if name == "models/model.json" else data,
    )
    assert "damaged" in refused(stages.resolve(model), "ModelInvalid")


def test_a_missing_weight_is_damaged(stages: Stages) -> None:
    model = rewritten(
        good_pt2(stages.root / "net.pt2"),
        lambda name, data: None if name == "data/weights/weight_0" else data,
    )
    assert "damaged" in refused(stages.resolve(model), "ModelInvalid")


def test_a_torchscript_archive_with_a_hostile_pickle_runs_nothing(stages: Stages, victim: Path) -> None:
    model = rewritten(
        model_fixtures.torchscript(stages.root / "net.pt"),
        lambda name, data: pickle.dumps(Touch(victim), protocol=2) if name == "data.pkl" else data,
    )
    refused(stages.resolve(model, inputs=DECLARED), "ModelInvalid")
    assert not victim.exists()


@pytest.mark.parametrize("write", [model_fixtures.tiny_pt2, model_fixtures.torchscript])
def test_an_archive_that_unpacks_beyond_the_limit_is_refused(
    write: Writer, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write(stages.root / "net.pt")
    with zipfile.ZipFile(model, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/extra/zeros", bytes(1 << 20))
    monkeypatch.setenv("DMS_MAX_INPUT_BYTES", str(1 << 19))
    message = refused(stages.resolve(model, inputs=DECLARED), "ModelInvalid")
    assert "more than the limit of 524288" in message


def test_members_outside_of_the_archives_folder_are_written_nowhere(stages: Stages, victim: Path) -> None:
    model = good_pt2(stages.root / "net.pt2")
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr(f"net/../../../../..{victim}", b"x")
        archive.writestr(str(victim), b"x")
        link = zipfile.ZipInfo("net/data/weights/weight_99")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert stages.resolve(model).failure is None
    assert not victim.exists()


def changed_sizes(program: Program) -> None:
    for value in program["graph_module"]["graph"]["tensor_values"].values():
        value["sizes"] = [{"as_int": 10**6} for _ in value["sizes"]]


@pytest.mark.parametrize("change", [changed_sizes, lambda program: program.update(extra=[[]] * 10**7)])
def test_a_program_that_promises_too_much_is_refused(
    change: Callable[[Program], None], stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, str(resident_bytes() + (1 << 30)))
    refused(stages.resolve(with_program(stages.root / "net.pt2", change)), "ModelInvalid")


def unpacking(bytes_inside: int, stages: Stages) -> Path:
    """A small .pt2 file with a weight of so many zeros."""
    model = good_pt2(stages.root / "net.pt2")
    with zipfile.ZipFile(model) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(model, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members.items():
            with archive.open(name, "w", force_zip64=True) as file:
                if name.endswith("data/weights/weight_0"):
                    for _ in range(bytes_inside >> 20):
                        file.write(bytes(1 << 20))
                else:
                    file.write(data)
    return model


def test_three_gigabytes_of_zeros_in_a_small_file_do_not_take_the_pod_along(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = unpacking(3 << 30, stages)
    assert model.stat().st_size < 20 << 20
    monkeypatch.setenv(MEMORY_VARIABLE, str(resident_bytes() + (1 << 30)))
    assert "takes more memory than the" in refused(stages.resolve(model), "ModelInvalid")


class ReadsAFile(torch.nn.Module):
    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return frames + torch.from_file("/etc/hostname", shared=False, size=1, dtype=torch.uint8).float()


class WritesAFile(torch.nn.Module):
    def __init__(self, victim: Path) -> None:
        super().__init__()
        self.victim = str(victim)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        torch.save(frames, self.victim)
        return frames


def scripted(module: torch.nn.Module, path: Path) -> Path:
    torch.jit.save(torch.jit.script(module.eval()), path)
    return path


def test_torchscript_that_opens_files_is_refused_before_it_runs(stages: Stages, victim: Path) -> None:
    for module, name in ((ReadsAFile(), "from_file"), (WritesAFile(victim), "save")):
        model = scripted(module, stages.root / "net.pt")
        assert f"uses {name}" in refused(stages.resolve(model, inputs=DECLARED), "ModelInvalid")
    assert not victim.exists()


def test_torch_itself_would_have_let_it_write(stages: Stages, victim: Path) -> None:
    torch.jit.load(scripted(WritesAFile(victim), stages.root / "net.pt"))(torch.zeros(1))
    assert victim.exists()


@pytest.mark.parametrize("call", ["ops.inductor.anything(x)", "ops . c10d.allreduce(x)", "torch.classes.a.B()"])
def test_torchscript_calls_tensor_operators_alone(call: str, stages: Stages) -> None:
    model = rewritten(
        model_fixtures.torchscript(stages.root / "net.pt"),
        lambda name, data: data + call.encode() if name.endswith(".py") else data,
    )
    assert "no tensor arithmetic" in refused(stages.resolve(model, inputs=DECLARED), "ModelInvalid")


class NeverEnds(torch.nn.Module):
    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        while True:
            frames = frames + 1
        return frames


def test_torchscript_that_never_ends_is_ended(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIME_LIMIT_VARIABLE, str((age_seconds() + 15) / 0.9))
    model = scripted(NeverEnds(), stages.root / "net.pt")
    assert "did not end within" in refused(stages.resolve(model, inputs=DECLARED), "ModelInvalid")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"<html>404</html>", "HTML"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"PK\x03\x04 and then nothing", "truncated or damaged"),
        (b"random bytes", "no known format"),
        (b"\x08\x08" + b"\xff" * 50, "truncated or damaged"),
    ],
)
def test_files_that_are_no_model_say_what_to_give(data: bytes, message: str, stages: Stages) -> None:
    (stages.root / "net").write_bytes(data)
    assert message in refused(stages.resolve(stages.root / "net"), "ModelInvalid")
