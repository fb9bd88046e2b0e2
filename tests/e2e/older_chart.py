"""Older charts to upgrade from: there is no earlier release yet.

One is the chart of an early day as it was (commit c9daaf7), packaged with a lower version: before vehicles and board
probes, with fewer values. The other is made of the present one, and differs in what makes upgrades hard: its definition
lacks a field and a column, its operator a permission and a setting. Once there are releases, the last one's package
belongs here instead.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

EARLY_VERSION = "0.0.9"
EARLY = Path(__file__).parent / "data" / f"dms-operator-{EARLY_VERSION}.tgz"
VERSION = "0.0.1"
MISSING_FIELD = "simulationSamples"
"""Of spec.benchmark."""
MISSING_COLUMN = "Provenance"


def make_older(chart: Path, directory: Path) -> Path:
    """Write the older chart into a directory; gives its path."""
    older = Path(shutil.copytree(chart, directory / chart.name))
    _change(older / "Chart.yaml", lambda meta: meta.update(version=VERSION, appVersion=VERSION))
    _change(older / "files" / "permissions.yaml", lambda scopes: scopes["watched"].pop())
    for path in (older / "files" / "crds").glob("*.yaml"):
        _change(path, _without_the_new)
    settings = older / "templates" / "_settings.tpl"
    settings.write_text(settings.read_text().replace('"podLabels" $stages.podLabels', ""))
    return older


def _change(path: Path, change: Callable[[Any], object]) -> None:
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def _without_the_new(definition: Any) -> None:
    version = definition["spec"]["versions"][0]
    columns = version["additionalPrinterColumns"]
    version["additionalPrinterColumns"] = [column for column in columns if column["name"] != MISSING_COLUMN]
    benchmark = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["benchmark"]
    del benchmark["properties"][MISSING_FIELD], benchmark["default"][MISSING_FIELD]
