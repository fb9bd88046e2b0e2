"""The runner as one file: those of the project's modules that a board needs. Equal sources, equal bytes.

They are found by following imports from what is run there; that none of them needs more than a board has is checked
by `make lint` (import-linter) and by running the file where nothing else can be imported.
"""

import ast
import zipfile
from collections.abc import Iterator
from pathlib import Path

import dms_operator

ROOT = Path(dms_operator.__file__).parent
START = ("pipeline/on_board/*.py", "pipeline/power/sampler.py")
"""What is run there, as a module or by its name."""
LEFT_OUT = ("toolchains/tidl",)
"""Imported inside functions that boards do not call."""

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
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "__main__.py", _MAIN.encode())
        for module in sorted(needed_modules()):
            _add(archive, f"dms_operator/{module.relative_to(ROOT)}", module.read_bytes())


def needed_modules() -> set[Path]:
    """Files of the runner, and of all that they import of the project, packages' own files included."""
    found: set[Path] = set()
    open_ends = [module for pattern in START for module in sorted(ROOT.glob(pattern))]
    while open_ends:
        module = open_ends.pop()
        if module not in found:
            found.add(module)
            open_ends += [each for each in _imports(module) if not _is_left_out(each)]
            open_ends += [folder / "__init__.py" for folder in module.parents if folder.is_relative_to(ROOT)]
    return found


def _imports(module: Path) -> Iterator[Path]:
    """Files of the project that a module imports, anywhere but for the type checker alone."""
    tree = ast.parse(module.read_text())
    for_types = {id(inner) for node in ast.walk(tree) if _is_for_types(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in for_types:
            base = module.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for candidate in (base, *(base / alias.name for alias in node.names)):
                yield from (
                    path for path in (candidate.with_suffix(".py"), candidate / "__init__.py") if path.is_file()
                )


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_left_out(module: Path) -> bool:
    return any(module.is_relative_to(ROOT / folder) for folder in LEFT_OUT)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _TIME), content, zipfile.ZIP_DEFLATED)
