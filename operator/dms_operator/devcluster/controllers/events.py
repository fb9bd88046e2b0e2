"""Post events, and count repeats instead of repeating them, as client-go's recorder does."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict

from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.errors import ApiError

from .meta import Clock, Object, rfc3339, rfc3339_micro, utc_now

# client-go tools/record/events_cache.go: maxLruCacheEntries
_REMEMBERED = 4096
_log = logging.getLogger(__name__)


class EventRecorder:
    """Posts core/v1 events in the name of one component."""

    def __init__(self, client: LocalClient, component: str, host: str = "", clock: Clock = utc_now) -> None:
        self._client = client
        self._component = component
        self._host = host
        self._clock = clock
        self._seen: OrderedDict[tuple[str, ...], tuple[str, str]] = OrderedDict()

    def post(self, about: Object, kind: str, reason: str, message: str, field_path: str = "") -> None:
        """Post an event about an object; `kind` is Normal or Warning. A refused event is logged, as client-go does."""
        key = (str(about["metadata"].get("uid")), kind, reason, message, field_path)
        try:
            if key not in self._seen or not self._repeat(*self._seen[key]):
                self._remember(key, self._create(self._body(about, kind, reason, message, field_path)))
        except ApiError as refusal:
            _log.warning("event %s about %s was refused: %s", reason, about["metadata"]["name"], refusal)

    def _repeat(self, namespace: str, name: str) -> bool:
        event = self._client.get("events", namespace, name)
        if event is None:
            return False
        change = {"count": event.get("count", 1) + 1, "lastTimestamp": rfc3339(self._clock())}
        self._client.patch("events", namespace, name, change)
        return True

    def _remember(self, key: tuple[str, ...], created: Object) -> None:
        self._seen[key] = (created["metadata"]["namespace"], created["metadata"]["name"])
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _create(self, body: Object) -> Object:
        return self._client.create("events", body["metadata"]["namespace"], body)

    def _body(self, about: Object, kind: str, reason: str, message: str, field_path: str) -> Object:
        moment = rfc3339(self._clock())
        host = {"host": self._host} if self._host else {}
        return {
            **event_head(about, kind, reason, message, field_path),
            "source": {"component": self._component, **host},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }


class SchedulingEvents:
    """Posts events of the newer kind (events.k8s.io semantics), as the scheduler does."""

    def __init__(self, client: LocalClient, clock: Clock = utc_now) -> None:
        self._client = client
        self._clock = clock

    def post(self, pod: Object, kind: str, reason: str, message: str, action: str) -> None:
        """Post an event about a pod."""
        body = {
            **event_head(pod, kind, reason, message, ""),
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "eventTime": rfc3339_micro(self._clock()),
            "action": action,
            "reportingComponent": "default-scheduler",
            "reportingInstance": "default-scheduler-devcluster",
        }
        try:
            self._client.create("events", body["metadata"]["namespace"], body)
        except ApiError as refusal:
            _log.warning("event %s about %s was refused: %s", reason, pod["metadata"]["name"], refusal)


def event_head(about: Object, kind: str, reason: str, message: str, field_path: str) -> Object:
    """Return what every event has; its name ends in the nanoseconds, as client-go makes it."""
    metadata = about["metadata"]
    fields = ("namespace", "name", "uid", "resourceVersion")
    involved = {"kind": about["kind"], "apiVersion": about["apiVersion"]}
    involved |= {field: metadata[field] for field in fields if field in metadata}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{time.time_ns():x}",
            "namespace": metadata.get("namespace", "default"),
        },
        "involvedObject": {**involved, **({"fieldPath": field_path} if field_path else {})},
        "type": kind,
        "reason": reason,
        "message": message,
    }
