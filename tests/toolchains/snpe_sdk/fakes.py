"""A fake SDK in a directory: the layout of Qualcomm's, with `fake_tool.py` under every tool's name."""

import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HOST = "x86_64-linux-clang"
LIBRARIES = ("libQnnHtp.so", "libQnnModelDlc.so", "libQnnHtpNetRunExtensions.so")


class FakeSdk:
    """The SDK's root, and what its tools were called with."""

    def __init__(
        self, root: Path, platform: str = HOST, without: Iterable[str] = (), python: str = sys.executable
    ) -> None:
        self.root = root
        tools, libraries = root / "bin" / platform, root / "lib" / platform
        tools.mkdir(parents=True)
        libraries.mkdir(parents=True)
        for name in LIBRARIES:
            (libraries / name).write_bytes(b"library")
        for path in (HERE / "fixtures").iterdir():
            shutil.copyfile(path, root / path.name)
        (root / "sdk.yaml").write_text("version: 2.35.0.250530\n")
        (root / "outputs.json").write_text(json.dumps({"logits": 3}))
        self.behave()
        script = (HERE / "fake_tool.py").read_text()
        for name in set(json.loads((root / "tools.json").read_text())) - {"source", *without}:
            (tools / name).write_text(f"#!{python}\n{script}")
            (tools / name).chmod(0o755)

    def behave(self, **tools: dict[str, Any]) -> None:
        """Make tools misbehave; underscores in names stand for dashes."""
        behaviour = {name.replace("_", "-"): how for name, how in tools.items()}
        (self.root / "behaviour.json").write_text(json.dumps(behaviour))

    @property
    def calls(self) -> list[list[str]]:
        """The accepted command lines in order."""
        path = self.root / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    @property
    def tools(self) -> list[str]:
        """The tools that were called, in order."""
        return [call[0] for call in self.calls]
