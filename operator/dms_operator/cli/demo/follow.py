"""Follow a deployment live, as a user would: `kubectl get --watch` for its status, `kubectl logs -f` for its stages."""

import json
import queue
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dms_operator.api.labels import RETRY

_PROGRESS = re.compile(r"^@progress (?P<step>\S+) (?P<done>\d+)/(?P<total>\d+)$")
FINAL_PHASES = ("Ready", "Failed")


@dataclass(frozen=True)
class StatusChanged:
    """The deployment as the API shows it now."""

    body: dict[str, Any]


@dataclass(frozen=True)
class StageProgress:
    """A stage's pod said how far it is."""

    stage: str
    step: str
    done: int
    total: int


Event = StatusChanged | StageProgress


def parse_progress(stage: str, line: str) -> StageProgress | None:
    """Read a progress line of a pod's log; None for any other line."""
    match = _PROGRESS.match(line.strip())
    return StageProgress(stage, match["step"], int(match["done"]), int(match["total"])) if match else None


def waits_for_approval(body: dict[str, Any]) -> bool:
    """Whether a wave of the rollout waits for a person, or nothing goes on any more."""
    pauses = (body.get("status", {}).get("rollout") or {}).get("pauses", [])
    return is_final(body) or any(pause["reason"] == "ApprovalRequired" for pause in pauses)


def is_final(body: dict[str, Any]) -> bool:
    """Whether the deployment has come to an end for its present spec, in the try that was asked for last."""
    status, metadata = body.get("status", {}), body["metadata"]
    retry = metadata.get("annotations", {}).get(RETRY)
    current = status.get("observedGeneration") == metadata["generation"] and retry in (None, status.get("handledRetry"))
    return current and status.get("phase") in FINAL_PHASES


def summary_of(body: dict[str, Any]) -> str:
    """The line that says how a deployment is."""
    return str((body.get("status", {}).get("summary") or {}).get("message") or "not Ready")


class Follower:
    """Turns kubectl's streams into one stream of events."""

    def __init__(self, kubectl: list[str], name: str) -> None:
        self._kubectl, self._name = kubectl, name
        self._events: queue.Queue[Event] = queue.Queue()
        self._followed: set[str] = set()
        self._streams: list[subprocess.Popen[str]] = []

    def events(
        self, deadline: float, alive: Callable[[], None], ended: Callable[[dict[str, Any]], bool] = is_final
    ) -> Iterator[Event]:
        """Events until the deployment has `ended`; `alive` is called now and then and may raise.

        Raises TimeoutError after `deadline` seconds.
        """
        end = time.monotonic() + deadline
        everything = 'jsonpath={@}{"\\n"}'
        self._stream(self._on_status, "get", "dmsd", self._name, "--watch", "-o", everything)
        try:
            while time.monotonic() < end:
                alive()
                try:
                    event = self._events.get(timeout=0.5)
                except queue.Empty:
                    continue
                yield event
                if isinstance(event, StatusChanged) and ended(event.body):
                    return
            raise TimeoutError(f"{self._name} came to no end within {deadline:.0f} s")
        finally:
            for stream in self._streams:
                stream.terminate()
                stream.wait()

    def _on_status(self, line: str) -> None:
        body = json.loads(line)
        for stage in body.get("status", {}).get("stages", []):
            if stage["state"] == "Running" and stage["job"] not in self._followed:
                self._followed.add(stage["job"])
                self._follow_log(stage["name"], stage["job"])
        self._events.put(StatusChanged(body))

    def _follow_log(self, stage: str, job: str) -> None:
        def on_line(line: str) -> None:
            progress = parse_progress(stage, line)
            if progress:
                self._events.put(progress)

        self._stream(on_line, "logs", "--follow", f"job/{job}", "--pod-running-timeout=10m")

    def _stream(self, on_line: Callable[[str], None], *arguments: str) -> None:
        process = subprocess.Popen(
            [*self._kubectl, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._streams.append(process)
        threading.Thread(target=_read, args=(process, on_line), daemon=True).start()


def _read(process: "subprocess.Popen[str]", on_line: Callable[[str], None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        on_line(line)
