"""Power of the board: found at run time by name, sampled by a process beside the load, idle subtracted.

Nothing here imports numpy or ONNX Runtime: the sampling process has to start quickly and stay out of the way.
"""

from .discovery import find_source
from .figures import PowerFigures, Sample, figures
from .meter import PowerMeter
from .source import PowerSource, PowerUnavailable, Reading

__all__ = [
    "PowerFigures",
    "PowerMeter",
    "PowerSource",
    "PowerUnavailable",
    "Reading",
    "Sample",
    "figures",
    "find_source",
]
