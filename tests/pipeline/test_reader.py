"""The process that opens files from outside: what it cannot reach, and how its end is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import model_fixtures
from dms_operator.pipeline.reader import landlock
from pipeline.stages import Stages, refused, succeeded

confined = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
SECRET = "canary-4711"


def in_confinement(attempt: str, workdir: Path) -> str:
    """What a process says that is confined to libraries and a folder, and then attempts something."""
    code = (
        "import sys; from pathlib import Path; from dms_operator.pipeline.reader.child import confine\n"
        f"confine(Path({str(workdir)!r}), None)\n"
        f"try:\n    {attempt}\n    print('done')\nexcept OSError as error:\n    print(type(error).__name__)\n"
    )
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outside") / "private.pem"
    path.write_text(SECRET)
    return path


@confined
def test_other_files_cannot_be_read_written_removed_or_listed(outside: Path, tmp_path: Path) -> None:
    path, folder = repr(str(outside)), repr(str(outside.parent))
    assert in_confinement(f"open({path}).read()", tmp_path) == "PermissionError"
    assert in_confinement(f"open({path}, 'a').write('x')", tmp_path) == "PermissionError"
    assert in_confinement(f"Path({path}).unlink()", tmp_path) == "PermissionError"
    assert in_confinement(f"list(Path({folder}).iterdir())", tmp_path) == "PermissionError"
    assert in_confinement("open('/etc/passwd').read()", tmp_path) == "PermissionError"
    assert outside.read_text() == SECRET


@confined
def test_a_link_out_of_the_scratch_directory_leads_nowhere(outside: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(outside)
    assert in_confinement(f"open({str(tmp_path / 'link')!r}).read()", tmp_path) == "PermissionError"


@confined
def test_the_pods_environment_cannot_be_read_through_proc(tmp_path: Path) -> None:
    assert in_confinement(f"open('/proc/{os.getpid()}/environ').read()", tmp_path) == "PermissionError"


@confined
@pytest.mark.skipif(landlock.version() < 4, reason="this kernel's Landlock knows no networks")
def test_no_connection_is_made(tmp_path: Path) -> None:
    attempt = "import socket; socket.create_connection(('127.0.0.1', 9), timeout=5)"
    assert in_confinement(attempt, tmp_path) == "PermissionError"


@confined
def test_the_scratch_directory_is_the_readers_own(tmp_path: Path) -> None:
    attempt = f"p = Path({str(tmp_path / 'a')!r}); p.mkdir(); (p / 'b').write_text('x'); (p / 'b').rename(p / 'c')"
    assert in_confinement(attempt, tmp_path) == "done"
    assert (tmp_path / "a" / "c").read_text() == "x"


def with_startup(code: str, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every Python process that is started from now on run this first."""
    folder = stages.root / "startup"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_the_reader_gets_no_secret_of_the_pods_environment(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = stages.root / "seen"
    with_startup(f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))", stages, monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={SECRET}")
    succeeded(stages.resolve(model_fixtures.tiny_classifier(stages.root / "net.onnx")))
    assert "PATH" in seen.read_text()
    assert SECRET not in seen.read_text()


def test_a_crash_of_a_library_is_the_files_fault(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    with_startup("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", stages, monkeypatch)
    message = refused(stages.resolve(model_fixtures.tiny_classifier(stages.root / "net.onnx")), "ModelInvalid")
    assert "crashed by SIGSEGV" in message
    assert "give ONNX" in message


def test_a_reader_that_is_killed_from_outside_may_be_tried_again(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_startup("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", stages, monkeypatch)
    failure = stages.resolve(model_fixtures.tiny_classifier(stages.root / "net.onnx")).failure
    assert failure is not None
    assert (failure.reason, failure.retryable) == ("ConverterKilled", True)
