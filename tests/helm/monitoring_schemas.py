"""JSON schemas of the Prometheus operator's kinds (monitoring.coreos.com/v1), to the depth that the chart uses.

After its API reference, https://prometheus-operator.dev/docs/api-reference/api. Unknown fields are refused.
"""

from typing import Any


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


_TEXT = {"type": "string"}
_DURATION = {
    "type": "string",
    "pattern": r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
}
_LABELS = {"type": "object", "additionalProperties": _TEXT}
_SELECTOR = _closed([], matchLabels=_LABELS, matchExpressions={"type": "array"})
_ENDPOINT = _closed(["port"], port=_TEXT, interval=_DURATION, honorLabels={"type": "boolean"}, path=_TEXT, scheme=_TEXT)
_RULE = _closed(
    ["expr"],
    alert=_TEXT,
    record=_TEXT,
    expr={"type": ["string", "integer"]},
    labels=_LABELS,
    annotations=_LABELS,
    **{"for": _DURATION, "keep_firing_for": _DURATION},
)
_GROUP = _closed(
    ["name"], name={"type": "string", "minLength": 1}, interval=_DURATION, rules={"type": "array", "items": _RULE}
)

SPECS = {
    "ServiceMonitor": _closed(
        ["selector", "endpoints"], selector=_SELECTOR, endpoints={"type": "array", "items": _ENDPOINT}
    ),
    "PodMonitor": _closed(["selector"], selector=_SELECTOR, podMetricsEndpoints={"type": "array", "items": _ENDPOINT}),
    "PrometheusRule": _closed([], groups={"type": "array", "items": _GROUP}),
}
"""Schema of `spec` by kind."""
