"""The few kinds of panels that the dashboards are made of, all alike in look and data source."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TableCellHeight,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, ORANGE, RED, BLUE, GREY = "green", "orange", "red", "blue", "text"

Query = tuple[str, str]
"""An expression and the legend of its series."""


def thresholds(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    """Colours from a value on; the first step has none."""
    return (
        ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value, colour) for value, colour in steps])
    )


def figure(
    title: str, query: str, unit: str, help_text: str, *steps: tuple[float | None, str], width: int = 4
) -> stat.Panel:
    """One number with a spark line."""
    return (
        stat.Panel()
        .title(title)
        .description(help_text)
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(thresholds(*(steps or ((None, BLUE),))))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_range(query, "", 0))
        .height(4)
        .span(width)
    )


def graph(
    title: str,
    unit: str,
    help_text: str,
    *queries: Query,
    width: int = 12,
    limit: bool = False,
    stacked: Mapping[str, str] = {},
) -> timeseries.Panel:
    """Series over time; with `limit` the last query is drawn as a dashed red line.

    `stacked`: where they sum up to something, the colour of each by its legend.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(help_text)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .height(8)
        .span(width)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(40)
    for index, (expression, legend) in enumerate(queries):
        panel = panel.with_target(_range(expression, legend, index))
    for legend, colour in stacked.items():
        fixed = models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})
        panel = panel.override_by_name(legend, [fixed])
    return panel.override_by_query(chr(ord("A") + len(queries) - 1), _LIMIT_LINE) if limit else panel


_LIMIT_LINE = [
    models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
    models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": RED}),
    models.DynamicConfigValue("custom.fillOpacity", 0),
]


def rows(
    title: str,
    help_text: str,
    columns: Sequence[tuple[str, str, str]],
    names: Mapping[str, str],
    width: int = 24,
    height: int = 8,
) -> table.Panel:
    """A table that joins instant queries on their labels.

    `columns`: (heading, unit, expression) each; `names`: label to heading, in order; other labels are hidden.
    """
    panel = table.Panel().title(title).description(help_text).datasource(SOURCE).cell_height(TableCellHeight.SM)
    panel = panel.height(height).span(width)
    renamed, units = dict(names), []
    for index, (heading, unit, expression) in enumerate(columns):
        letter = chr(ord("A") + index)
        target = prometheus.Dataquery().expr(expression).instant().format(PromQueryFormat.TABLE).ref_id(letter)
        panel = panel.with_target(target.datasource(SOURCE))
        renamed["Value" if len(columns) == 1 else f"Value #{letter}"] = heading
        units.append((heading, unit))
    order = {name: position for position, name in enumerate(renamed)}
    panel = panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": renamed}
    panel = panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=organize))
    for heading, unit in units:
        panel = panel.override_by_name(heading, [models.DynamicConfigValue("unit", unit)])
    return panel


def states(
    title: str, help_text: str, query: Query, colours: Mapping[str, str], width: int = 24
) -> statetimeline.Panel:
    """One bar per series over time; `colours`: value to text and colour, as `1: Ready=green`."""
    results = {
        value: models.ValueMappingResult(text=text.split("=")[0], color=text.split("=")[1])
        for value, text in colours.items()
    }
    return (
        statetimeline.Panel()
        .title(title)
        .description(help_text)
        .datasource(SOURCE)
        .mappings([models.ValueMap(results)])
        .with_target(_range(*query, 0))
        .height(8)
        .span(width)
    )


def _range(expression: str, legend: str, index: int) -> prometheus.Dataquery:
    letter = chr(ord("A") + index)
    query = prometheus.Dataquery().expr(expression).range().ref_id(letter).datasource(SOURCE)
    return query.legend_format(legend) if legend else query
