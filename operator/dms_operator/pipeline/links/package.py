"""The runner as one file: those of the project's modules that a board needs. Equal sources, equal bytes."""

import zipfile
from pathlib import Path

import dms_operator

MODULES = (
    "__init__.py",
    "api/__init__.py",
    "api/errors.py",
    "pipeline/__init__.py",
    "pipeline/end_to_end.py",
    "pipeline/environment.py",
    "pipeline/latency.py",
    "pipeline/machine.py",
    "pipeline/memory.py",
    "pipeline/on_board/*.py",
    "pipeline/passes.py",
    "pipeline/percentiles.py",
    "pipeline/power/*.py",
    "pipeline/progress.py",
    "pipeline/stability.py",
    "pipeline/throttling.py",
    "toolchains/__init__.py",
    "toolchains/base.py",
    "toolchains/loading.py",
    "toolchains/ort_session.py",
    "toolchains/qnn/__init__.py",
    "toolchains/qnn/provider.py",
    "toolchains/tidl_session.py",
)
"""All that pipeline.on_board imports (a test runs it where nothing else can be imported)."""

_MAIN = """\
import sys

if sys.version_info < (3, 11):
    sys.exit(f"the runner needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}")

from dms_operator.pipeline.on_board.main import main

sys.exit(main(sys.argv[1:]))
"""
_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can say: the file's digest must not depend on when it was made."""


def build_runner(path: Path) -> None:
    """Write the runner, which `python3 <path> serve|job|facts <directory>` starts."""
    root = Path(dms_operator.__file__).parent
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "__main__.py", _MAIN.encode())
        for pattern in MODULES:
            for module in sorted(root.glob(pattern)):
                _add(archive, f"dms_operator/{module.relative_to(root)}", module.read_bytes())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _TIME), content, zipfile.ZIP_DEFLATED)
