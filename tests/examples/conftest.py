"""Clips rendered once for all tests of the folder."""

import pytest
import torch

from driver_monitor.train import Clips, render_clips


@pytest.fixture(scope="session")
def fresh_clips() -> Clips:
    """120 clips of a seed that no net was trained on."""
    return render_clips(120, seed=2026)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
