"""What all dashboards share: data source, filters, links between them, ids."""

import json
from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from .panels import SOURCE

TAG = "dms-operator"
OBJECT = 'namespace=~"$namespace", deployment=~"$deployment"'
"""Selects the chosen deployments."""


def dashboard(
    title: str, uid: str, help_text: str, variables: Sequence[str] = (), *, single: bool = False
) -> Dashboard:
    """An empty dashboard; `variables` of `namespace`, `deployment`, `board`, each filtered by those before it.

    `single`: one value of each is shown at a time, not all together.
    """
    links = DashboardLink("DMS").type(models.DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True)
    board = (
        Dashboard(title)
        .uid(uid)
        .description(help_text)
        .tags([TAG])
        .readonly()
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .link(links.include_vars(True).keep_time(True))
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for name in variables:
        board = board.with_variable(_variable(name, single))
    return board


_SERIES = {
    "namespace": "dms_deployment_phase",
    "deployment": 'dms_deployment_phase{namespace=~"$namespace"}',
    "board": "dms_board_nodes",
}


def _variable(name: str, single: bool) -> QueryVariable:
    variable = (
        QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query(f"label_values({_SERIES[name]}, {name})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    )
    if single:
        return variable
    everything = models.VariableOption(text="All", value="$__all", selected=True)
    return variable.multi(True).include_all(True).all_value(".*").current(everything)


def to_json(board: Dashboard) -> str:
    """The file that the chart ships."""
    body: dict[str, Any] = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    for number, panel in enumerate(body["panels"], 1):
        panel["id"] = number
    for variable in body["templating"]["list"]:
        for option in ("auto", "auto_count", "auto_min"):  # of interval variables alone, says Grafana's own schema
            variable.pop(option, None)
    return json.dumps(body, indent=2, sort_keys=True) + "\n"
