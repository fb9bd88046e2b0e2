"""How many processes this container may keep busy."""

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MOST = 16
"""Each simulator process holds the prepared graph: more of them would trade memory for little time."""


def usable_cores(quota: Path = _QUOTA) -> int:
    """Cores of the affinity mask, but no more than the container's CPU limit (cgroup v2 `<quota> <period>`)."""
    cores = len(os.sched_getaffinity(0))
    limit = quota.read_text().split() if quota.is_file() else ["max"]
    if limit[0] != "max":
        cores = min(cores, max(1, int(limit[0]) // int(limit[1])))
    return min(cores, _MOST)
