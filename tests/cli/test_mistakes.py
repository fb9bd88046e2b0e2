"""What people get wrong on the command line ends in words that say what to write, never in a traceback."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from controller.builders import COCKPIT, world
from dms_operator.cli import devcluster
from dms_operator.cli.main import app

DIGEST = f"sha256:{'a' * 64}"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "300", "DMS_REQUEST": ""})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["profile", "sha256:abc", "--store", "file:///none"], "sha256:abc is no digest: write sha256: and 64 hex"),
        (["profile", DIGEST], "say which by --store"),
        (["profile", DIGEST, "--store", "none"], "none has no scheme. Write file:///"),
        (["profile", "/none"], "/none holds no compiled artifact. Name its folder, or its digest"),
        (["profile", "/none", "--model", "m.onnx"], "--model and --dataset go together"),
        (["artifact", "fetch", "abc", "--store", "file:///none", "--into", "/none"], "abc is no digest"),
        (["artifact", "verify", "abc", "--store", "file:///none", "--key", __file__], "abc is no digest"),
        (["demo", "--example", "/none"], "there is no /none: run this at the top of the repository"),
        (["stage", "run"], "Name a file, or set DMS_REQUEST"),
        (["operator", "check", "--kubeconfig", "/none"], "set KUBECONFIG or --kubeconfig"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_is_told_with_what_to_write(
    capfd: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    done = run(*arguments)
    assert done.exit_code not in (0, None) and not isinstance(done.exception, ValueError | OSError), done.exception
    assert words in " ".join((done.output + capfd.readouterr().err).split())


def test_a_report_that_cannot_be_written_names_the_file(tmp_path: Path) -> None:
    body = world(COCKPIT).run().body
    (tmp_path / "one.json").write_text(json.dumps({"kind": "DMSModelDeployment", **body}))
    done = run("report", body["metadata"]["name"], "-f", tmp_path / "one.json", "--to", tmp_path / "none" / "page.html")
    assert done.exit_code == 2 and "page.html cannot be written: No such file or directory" in done.output


def test_a_dev_cluster_that_does_not_start_shows_this_starts_words_alone(tmp_path: Path) -> None:
    (tmp_path / "devcluster.log").write_text("of an earlier start\n")
    (tmp_path / "wrong.yaml").write_text("nodez: []\n")
    done = run("devcluster", "up", "--directory", tmp_path, "--config", tmp_path / "wrong.yaml")
    assert done.exit_code == 1 and not devcluster.stop_if_running(tmp_path)
    assert "wrong.yaml: nodez: Extra inputs are not permitted" in done.output and "earlier" not in done.output
