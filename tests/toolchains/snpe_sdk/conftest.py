from pathlib import Path

import pytest

from toolchains.snpe_sdk.fakes import FakeSdk


@pytest.fixture
def sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSdk:
    """A complete fake SDK that the environment names, under a path with a blank and an umlaut."""
    found = FakeSdk(tmp_path / "mein Gerät" / "qairt")
    for name in ("SNPE_ROOT", "QNN_SDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QAIRT_SDK_ROOT", str(found.root))
    return found
