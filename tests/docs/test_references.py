"""What pages point to is there: pages, sections, files, modules, targets of make, commands and options of dms."""

import os.path
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from dms_operator.cli.main import app
from docs.pages import REPOSITORY, anchors, code, files, pages, text_of

MADE = {"provenance.json", "sbom.cdx.json", "result.json", "deployment.json", "deployments.json", "restored.json"}
MADE |= {"gaze.yaml", "cluster.yaml", "operator.yaml", "plan.json", "event.json", "import.txt", "deployments.json"}
MADE |= {"manifest.json", "delegation.json", "layers.json", "estimate.json", "encodings.json", "report.json"}
MADE |= {"release.json", "sensitivity.json", "training.json", "allowedNode.txt"}
"""Files that commands and stages write, or the reader."""
ELSEWHERE = {"docs/operators.md", "docs/vision_transformers.md", "report_TDA4VM.csv", "snpe_bench.py"}
"""Files of TI and Qualcomm."""
_ENDS = r"\.(?:py|yaml|toml|md|sh|lua|lock|txt|json)"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, left = set[str](), {"README.md"}
    while left:
        page = left.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#]+\.md)", text_of(page))
        left |= {os.path.normpath(Path(page).parent / link) for link in links} - reached
    assert reached == set(pages())


@pytest.mark.parametrize("page", pages())
def test_links_lead_to_pages_and_sections(page: str) -> None:
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        target, _, anchor = link.partition("#")
        if target.startswith(("http:", "https:")):
            continue
        path = os.path.normpath(Path(page).parent / target) if target else page
        if not (REPOSITORY / path).exists() or (anchor and anchor not in anchors(path)):
            lost.append(link)
    assert not lost


@pytest.mark.parametrize("page", pages())
def test_files_that_are_named_are_there(page: str) -> None:
    there = [f"/{path}" for path in files()]
    named = {name for text in code(page) for name in re.findall(rf"(?<![\w/.*<-])[\w./-]*\w{_ENDS}\b(?![\w(/-])", text)}
    known = MADE | ELSEWHERE
    lost = [name for name in sorted(named) if Path(name).name not in known and name not in known]
    assert not [name for name in lost if not any(path.endswith(f"/{name.lstrip('./')}") for path in there)]


@pytest.mark.parametrize("page", pages())
def test_modules_that_are_run_are_there(page: str) -> None:
    named = {name for text in code(page) for name in re.findall(r"python -m ([\w.]+)", text)}
    assert not [name for name in sorted(named) if find_spec(name) is None]


@pytest.mark.parametrize("page", pages())
def test_targets_of_make_are_there(page: str) -> None:
    rules = (REPOSITORY / "Makefile").read_text()
    scripts = {path.stem.replace("_", "-", 1) for path in (REPOSITORY / "benchmarks").glob("*_*.py")}
    known = scripts | set(re.findall(r"^([a-z0-9-]+):", rules, re.MULTILINE))
    named = {name for text in code(page) for name in re.findall(r"\bmake ([a-z][a-z0-9-]*)", text)}
    assert named <= known


@pytest.mark.parametrize("page", pages())
def test_commands_of_dms_take_what_is_shown(page: str) -> None:
    wrong = [f"{line}: {problem}" for line in code(page) for problem in _problems(line)]
    assert not wrong


def _problems(line: str) -> Iterator[str]:
    """What `dms` would not take of a line's command."""
    found = re.search(r"(?:^|[\s(])(?:kubectl )?dms ([a-z][^#|;&)]*)", line)
    if found is None or line.startswith("helm "):  # its release may be called dms
        return
    command, words = _dms(), found[1].split()
    while words and isinstance(command, TyperGroup):
        name = words.pop(0)
        if name not in command.commands:
            yield f"no command {name}"
            return
        command = command.commands[name]
    if command.context_settings.get("ignore_unknown_options"):
        return  # `dms operator run` reads its own
    known = {option for each in command.params for option in each.opts}
    yield from (word for word in words if word.startswith("-") and word.split("=")[0] not in known)


@cache
def _dms() -> Any:
    return typer.main.get_command(app)
