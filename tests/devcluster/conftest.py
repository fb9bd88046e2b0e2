from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devcluster.faults import Faults
from devcluster.running import Running


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path / "kubeconfig") as running:
        yield running


@pytest.fixture
def faults(cluster: Running) -> Faults:
    return Faults(cluster.kubeconfig)
