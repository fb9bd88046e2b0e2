"""`dms boards` as a user calls it."""

import json
from typing import Any

from typer.testing import CliRunner

from dms_operator.api.capabilities import BOARDS
from dms_operator.cli.main import app


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["boards", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_every_board_has_a_line_and_unknown_figures_say_so() -> None:
    lines = run().splitlines()
    assert [line.split()[0] for line in lines] == ["BOARD", *BOARDS]
    row = next(line for line in lines if line.startswith("sa8797"))
    assert "Hexagon v81" in row and row.count("unknown") == 3


def test_one_board_is_told_in_full_with_sources() -> None:
    told = run("--board", "tda4vm")
    assert "toolchain tidl (default): int8" in told
    assert "TOPS (8 bit): 8  [TI, https://www.ti.com/product/TDA4VM" in told
    assert "memory (GB): unknown" in told


def test_json_is_for_programs_and_null_is_unknown() -> None:
    (found,) = json.loads(run("-o", "json", "--board", "qcs6490"))
    assert found["toolchains"]["qnn"] == ["int8", "int4"]
    assert found["tops"] is None
    (known,) = json.loads(run("-o", "json", "--board", "qcs8550"))
    assert known["tops"]["value"] == 48 and known["tops"]["source"]


def test_json_holds_all_boards() -> None:
    everything: list[dict[str, Any]] = json.loads(run("-o", "json"))
    assert [board["name"] for board in everything] == list(BOARDS)


def test_a_board_that_is_not_in_the_catalog_is_refused_with_those_that_are() -> None:
    assert "use one of qcs8255" in run("--board", "toaster", code=2).replace("\n", " ")
