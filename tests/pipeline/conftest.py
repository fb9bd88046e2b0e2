"""Fixtures of the pipeline's tests that D1's and D2's tests share."""

from pathlib import Path

import pytest

from pipeline.stages import Stages


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    monkeypatch.setenv("DMS_FILE_ROOTS", str(tmp_path))
    return Stages(tmp_path)
