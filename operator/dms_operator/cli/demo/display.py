"""The live picture: one line and one bar per stage on a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .follow import Event, StageProgress, StatusChanged

_MARKS = {"Pending": "[dim]waiting[/]", "Running": "[cyan]running[/]", "Succeeded": "[green]done[/]"}


class Display:
    """Shows what a deployment's stages do. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("  {task.description:<28}"), BarColumn(bar_width=28), TextColumn("{task.fields[text]:<24}"),
            TimeElapsedColumn(), console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}
        self._states: dict[str, str] = {}
        self._steps: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, event: Event) -> None:
        """Take one event into the picture."""
        if isinstance(event, StatusChanged):
            for stage in event.body.get("status", {}).get("stages", []):
                self._show_stage(stage)
        else:
            self._show_progress(event)

    def _show_stage(self, stage: dict[str, Any]) -> None:
        name, state = stage["name"], stage["state"]
        if self._states.get(name) == state:
            return
        self._states[name] = state
        text = _MARKS.get(state, f"[red]{stage.get('reason') or state}[/]")
        task = self._task(name)
        self._bars.update(task, text=text)
        if state in ("Succeeded", "Failed"):
            self._bars.update(task, completed=1, total=1)
            self._bars.stop_task(task)
        self._say(f"{name}: {text}")

    def _show_progress(self, progress: StageProgress) -> None:
        if self._states.get(progress.stage) == "Succeeded":
            return
        text = f"{progress.step} {progress.done}/{progress.total}"
        self._bars.update(self._task(progress.stage), completed=progress.done, total=progress.total, text=text)
        if self._steps.get(progress.stage) != progress.step:
            self._steps[progress.stage] = progress.step
            self._say(f"{progress.stage}: {progress.step} ({progress.total})")

    def _task(self, name: str) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=None, text="")
        return self._tasks[name]

    def _say(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(f"  {line}", highlight=False)
