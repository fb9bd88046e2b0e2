"""The sampling process: `python -m dms_operator.pipeline.power.sampler <sys> <seconds between samples>`.

First line: `source <name>`, or `unavailable <reason>` and the end. When standard input is closed, one line
`<monotonic seconds> <watts|-> <joules|->` per sample: a pipe that nobody reads would stop the sampling.
A process of its own: it must not hold the load's interpreter.
"""

import select
import sys
import time
from pathlib import Path

from .discovery import find_source
from .source import PowerSource, PowerUnavailable


def main(arguments: list[str]) -> int:
    """Sample until the parent closes standard input."""
    lines: list[str] = []
    try:
        source = find_source(Path(arguments[0]))
        print(f"source {source.name}", flush=True)
        _sample(source, float(arguments[1]), lines)
    except (OSError, PowerUnavailable) as error:
        lines.append(f"unavailable {error}")
    print("\n".join(lines), flush=True)
    return 0


def _sample(source: PowerSource, interval: float, lines: list[str]) -> None:
    while not select.select([sys.stdin], [], [], interval)[0]:
        # CLOCK_MONOTONIC is the same for all processes of a machine
        reading, now = source.read(), time.monotonic()
        watts, joules = ("-" if value is None else repr(value) for value in (reading.watts, reading.joules))
        lines.append(f"{now} {watts} {joules}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
