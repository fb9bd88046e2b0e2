"""Draws what the dashboards show of a Prometheus: `python -m dashboards.pictures URL DIRECTORY DEPLOYMENT`.

Not Grafana: panels, queries, units and places are the dashboards' own, the drawing is matplotlib's.
"""

import json
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

FILES = Path(__file__).parents[1] / "dms-operator" / "files" / "dashboards"
MINUTES = 10
"""How far back a picture looks."""
VARIABLES = {"$__rate_interval": "15s", "$namespace": ".*", "$board": ".*", "[1h]": "[10m]"}
_COLOURS = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2", "text": "#ccccdc"}
_COLOURS |= {"light-blue": "#8ab8ff", "yellow": "#fade2a"}
_COLUMNS, _CELL_WIDTH, _CELL_HEIGHT = 24, 0.7, 0.42
"""Grafana's grid, and inches of one of its cells."""

_LEGEND_LIMIT = 14
"""Series of a panel that are named; the last is always one of them."""

Panel = Mapping[str, Any]


class Source:
    """Asks Prometheus."""

    def __init__(self, url: str, deployment: str) -> None:
        self._url = url
        self._deployment = deployment

    def instant(self, target: Panel) -> list[dict[str, Any]]:
        """Series with one value each."""
        return self._ask("query", query=self._filled(target["expr"]))

    def range(self, target: Panel) -> list[dict[str, Any]]:
        """Series over the last minutes."""
        now = time.time()
        window = {"start": str(now - 60 * MINUTES), "end": str(now), "step": "2"}
        return self._ask("query_range", query=self._filled(target["expr"]), **window)

    def _ask(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        query = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(query, timeout=30) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def _filled(self, expression: str) -> str:
        for name, value in {**VARIABLES, "$deployment": self._deployment}.items():
            expression = expression.replace(name, value)
        return expression


def draw(dashboard: Mapping[str, Any], source: Source, path: Path) -> None:
    """One picture of a dashboard."""
    panels = dashboard["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(_COLUMNS * _CELL_WIDTH, height * _CELL_HEIGHT + 0.5), facecolor="#111217")
    figure.suptitle(dashboard["title"], color="#ccccdc", x=0.01, ha="left", fontsize=14)
    for panel in panels:
        place = panel["gridPos"]
        left, width = place["x"] / _COLUMNS, place["w"] / _COLUMNS
        top, tall = place["y"] / height, place["h"] / height
        scale = 1 - 0.5 / (height * _CELL_HEIGHT + 0.5)
        axes = figure.add_axes((left + 0.025, scale * (1 - top - tall) + 0.028, width - 0.035, scale * tall - 0.055))
        axes.set_facecolor("#181b1f")
        axes.set_title(panel["title"], color="#ccccdc", fontsize=9, loc="left")
        axes.tick_params(colors="#8e8e9a", labelsize=7)
        for spine in axes.spines.values():
            spine.set_color("#25282d")
        _KINDS[panel["type"]](axes, panel, source)
    figure.savefig(path, dpi=80, facecolor=figure.get_facecolor())
    plt.close(figure)


def _figure(axes: Axes, panel: Panel, source: Source) -> None:
    series = source.instant(panel["targets"][0])
    value = float(series[0]["value"][1]) if series else float("nan")
    colour = _COLOURS["text"]
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = _COLOURS.get(step["color"], colour)
    axes.set_axis_off()
    text = _shown(value, panel["fieldConfig"]["defaults"].get("unit", "short"))
    axes.text(0.5, 0.45, text, color=colour, fontsize=20, ha="center", va="center", transform=axes.transAxes)


def _graph(axes: Axes, panel: Panel, source: Source) -> None:
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    now = time.time()
    colours = {
        override["matcher"]["options"]: _COLOURS[each["value"]["fixedColor"]]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "color"
    }
    stacked = "stacking" in panel["fieldConfig"]["defaults"].get("custom", {})
    below: dict[float, float] = {}
    for target in panel["targets"]:
        for series in source.range(target):
            heights = {moment: float(value) + below.get(moment, 0) for moment, value in series["values"]}
            minutes = [(moment - now) / 60 for moment in heights]
            label = _legend(target, series["metric"])
            colour = colours.get(target["refId"]) or colours.get(label)
            style = "--" if target["refId"] in colours else "-"
            [line] = axes.plot(minutes, [*heights.values()], style, label=label, linewidth=1.2, color=colour)
            if stacked:
                floor = [below.get(moment, 0) for moment in heights]
                axes.fill_between(minutes, floor, [*heights.values()], color=line.get_color(), alpha=0.4)
                below |= heights
    axes.set_xlim(-MINUTES, 0)
    axes.set_ylim(bottom=0)
    axes.grid(color="#25282d")
    axes.yaxis.set_major_formatter(lambda value, _: _shown(value, unit))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} min")
    if lines := axes.get_lines():
        shown = lines if len(lines) <= _LEGEND_LIMIT else [*lines[: _LEGEND_LIMIT - 1], lines[-1]]
        axes.legend(handles=shown, fontsize=6, loc="upper left", facecolor="#181b1f", labelcolor="#ccccdc", ncols=2)


def _table(axes: Axes, panel: Panel, source: Source) -> None:
    organized = panel["transformations"][1]["options"]
    order = sorted(organized["indexByName"], key=organized["indexByName"].get)
    renamed = {name: organized["renameByName"][name] for name in order}
    units = {
        override["matcher"]["options"]: override["properties"][0]["value"]
        for override in panel["fieldConfig"]["overrides"]
    }
    names = [name for name in renamed if not name.startswith("Value")]
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for target in panel["targets"]:
        heading = renamed.get(f"Value #{target['refId']}", renamed.get("Value", ""))
        for series in source.instant(target):
            key = tuple(series["metric"].get(name, "") for name in names)
            found = next((known for known in rows if all(a in ("", b) for a, b in zip(key, known, strict=True))), key)
            rows.setdefault(found, {})[heading] = _shown(float(series["value"][1]), units[heading])
    headings = [renamed[name] for name in names] + [renamed[name] for name in renamed if name.startswith("Value")]
    cells = [[*key, *(figures.get(heading, "") for heading in headings[len(key) :])] for key, figures in rows.items()]
    axes.set_axis_off()
    if not cells:
        return
    table = axes.table(cells, colLabels=headings, loc="upper left", cellLoc="left", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    for cell in table.get_celld().values():
        cell.get_text().set_color("#ccccdc")
        cell.set_edgecolor("#25282d")


def _states(axes: Axes, panel: Panel, source: Source) -> None:
    texts = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    series, now = source.range(panel["targets"][0]), time.time()
    for row, one in enumerate(series):
        for moment, value in one["values"]:
            colour = _COLOURS[texts[str(int(float(value)))]["color"]]
            axes.barh(row, 2.2 / 60, left=(moment - now) / 60, color=colour, height=0.7)
        axes.text(
            0.1 - MINUTES,
            row,
            _legend(panel["targets"][0], one["metric"]),
            color=_COLOURS["text"],
            fontsize=8,
            va="center",
        )
    axes.set_yticks([])
    axes.set_xlim(-MINUTES, 0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} min")


_KINDS = {"stat": _figure, "timeseries": _graph, "table": _table, "state-timeline": _states}


def _legend(target: Panel, labels: Mapping[str, str]) -> str:
    text = str(target.get("legendFormat", ""))
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def _shown(value: float, unit: str) -> str:
    """A value with its unit, as Grafana would write it, roughly."""
    if value != value:
        return "no data"
    if unit == "bool_yes_no":
        return "Yes" if value else "No"
    scales = {"percentunit": (100, " %"), "bytes": (2**-20, " MiB"), "watt": (1, " W")}
    scales["s"] = (1e3, " ms") if abs(value) < 1 else (1, " s")
    factor, text = scales.get(unit, (1, ""))
    return f"{value * factor:.3g}{text}"


def draw_all(url: str, directory: Path, deployment: str) -> None:
    """A picture of each dashboard that the chart ships; that of one deployment shows the one named."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in sorted(FILES.glob("*.json")):
        source = Source(url, deployment if file.stem == "dms-deployment" else ".*")
        draw(json.loads(file.read_text()), source, directory / f"{file.stem}.png")


if __name__ == "__main__":
    draw_all(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
