"""Runs the sampling process beside the load and collects what it saw."""

import subprocess
import sys as python
from pathlib import Path
from types import TracebackType
from typing import Self

from .discovery import SYS
from .figures import Sample
from .source import PowerUnavailable

SECONDS_BETWEEN_SAMPLES = 0.05
"""20 Hz: an INA226 renews its figure every 1 to 140 ms, and the mean over the whole load is what counts."""

_STOP_SECONDS = 10.0


class PowerMeter:
    """A context in which power is sampled; `unavailable` says why it is not."""

    def __init__(self, sys: Path = SYS, interval: float = SECONDS_BETWEEN_SAMPLES) -> None:
        self._command = [python.executable, "-m", "dms_operator.pipeline.power.sampler", str(sys), str(interval)]
        self.source = ""
        """Kind and rails of what is sampled."""
        self.unavailable = ""
        """Reason; empty while everything works."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        kind, _, rest = self._process.stdout.readline().strip().partition(" ")
        if kind == "source":
            self.source = rest
        else:
            self.unavailable = rest or "the sampling process ended without an answer"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def samples(self) -> list[Sample]:
        """End sampling and give all samples. Raises PowerUnavailable."""
        if not self.unavailable:
            self._parse(self._end())
        if self.unavailable:
            raise PowerUnavailable(self.unavailable)
        return self._samples

    def _end(self) -> str:
        """Close the process's standard input, and read the rest of what it has to say."""
        if self._process.poll() is not None and self._process.stdout and self._process.stdout.closed:
            return ""
        try:
            return self._process.communicate(timeout=_STOP_SECONDS)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.unavailable = "the power source does not answer any more"
            return self._process.communicate()[0]

    def _parse(self, output: str) -> None:
        self._samples: list[Sample] = []
        for line in output.splitlines():
            if line.startswith("unavailable "):
                self.unavailable = line.removeprefix("unavailable ")
                return
            time, watts, joules = (None if field == "-" else float(field) for field in line.split(" "))
            assert time is not None
            self._samples.append(Sample(time, watts, joules))
