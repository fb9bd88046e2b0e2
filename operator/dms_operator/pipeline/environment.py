"""What a benchmark ran on."""

import os
import platform
from typing import Any

import numpy as np
import onnxruntime

import dms_operator

from .machine import cpu_name, node_name, usable_cores


def describe() -> dict[str, Any]:
    """Processor, usable cores, load, kernel and versions; all plain JSON values."""
    return {
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "load": os.getloadavg()[0],
        "machine": platform.machine(),
        "kernel": platform.release(),
        "node": node_name(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "dmsOperator": dms_operator.__version__,
    }
