"""Every panel of every dashboard shows data of a real run."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.running import REPOSITORY
from observability.conftest import Scene

FILES = sorted((REPOSITORY / "helm" / "dms-operator" / "files" / "dashboards").glob("*.json"))
VARIABLES = {"$__rate_interval": "5s", "$namespace": ".*", "$deployment": ".*", "$board": ".*"}
DASHBOARDS = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def _panels(file: Path) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads(file.read_text())["panels"]
    return panels


def _queries(file: Path) -> Iterator[tuple[str, str]]:
    for panel in _panels(file):
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield f"{panel['title']} {target['refId']}", expression


def test_there_is_one_for_the_fleet_a_deployment_the_boards_and_the_operator() -> None:
    assert [file.stem for file in FILES] == ["dms-boards", "dms-deployment", "dms-fleet", "dms-operator"]


def test_the_shipped_files_are_what_the_code_makes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dashboards", str(tmp_path)]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(REPOSITORY / "helm")})
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        file.name: file.read_text() for file in FILES
    }, "run make generate"


@DASHBOARDS
def test_every_query_gives_data_on_a_real_run(file: Path, scene: Scene) -> None:
    empty = {}
    for panel, expression in _queries(file):
        values = [float(series["value"][1]) for series in scene.prometheus.query(expression, scene.at)]
        if not any(math.isfinite(value) for value in values):
            empty[panel] = expression
    assert empty == {}


@DASHBOARDS
def test_every_variable_offers_values_on_a_real_run(file: Path, scene: Scene) -> None:
    variables = json.loads(file.read_text())["templating"]["list"]
    asked = [each["query"] for each in variables if each["type"] == "query"]
    for query in asked:
        [(selector, label)] = re.findall(r"^label_values\((.+), (\w+)\)$", query)
        filled = selector.replace("$namespace", ".*")
        found = {series["metric"].get(label) for series in scene.prometheus.query(filled, scene.at)}
        assert found and None not in found, query
    assert bool(asked) == (file.stem != "dms-operator")


@DASHBOARDS
def test_no_query_leaves_a_variable_unfilled(file: Path) -> None:
    assert [expression for _, expression in _queries(file) if "$" in expression] == []


@DASHBOARDS
def test_only_metrics_that_the_operator_exports_are_asked_for(file: Path, scene: Scene) -> None:
    exported = set(re.findall(r"^# TYPE (\w+)", scene.operator.get("/metrics")[1], re.MULTILINE))
    asked = {name for _, query in _queries(file) for name in re.findall(r"\b(?:dms|process)_\w+", query)}
    suffixes = re.compile(r"_(bucket|count|sum)$")
    assert {name for name in asked if suffixes.sub("", name) not in exported} == set()


@DASHBOARDS
def test_panels_have_ids_of_their_own_a_place_of_their_own_and_the_chosen_data_source(file: Path) -> None:
    panels = _panels(file)
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert all(panel["description"] for panel in panels)
