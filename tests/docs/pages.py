"""Pages of documentation, and what they show as code."""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^(?: {4}|\t).*\n)+", re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")


@cache
def files() -> list[str]:
    """Paths of the repository's files; hidden folders hold what was installed and made."""
    found: list[str] = []
    for folder, below, names in os.walk(REPOSITORY):
        below[:] = sorted(each for each in below if not each.startswith("."))
        found += [str((Path(folder) / name).relative_to(REPOSITORY)) for name in sorted(names)]
    return found


def pages() -> list[str]:
    """Paths of what people read: recordings and expected outputs of tests are none."""
    return [path for path in files() if path.endswith(".md") and not path.startswith("tests/")]


def text_of(page: str) -> str:
    """What a page says."""
    return (REPOSITORY / page).read_text()


def fenced(page: str, language: str) -> list[str]:
    """Contents of the fenced blocks of a language."""
    return [body for name, body in _FENCE.findall(text_of(page)) if name == language]


def code(page: str) -> Iterator[str]:
    """Everything shown as code: lines of blocks, and spans, whose line breaks are blanks."""
    text = text_of(page)
    for _, body in _FENCE.findall(text):
        yield from body.splitlines()
    rest = _FENCE.sub("", text)
    for block in _INDENTED.findall(rest):
        yield from block.splitlines()
    yield from (" ".join(span.split()) for span in _SPAN.findall(_INDENTED.sub("", rest)))


def anchors(page: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", _FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "").strip().lower()).replace(" ", "-") for title in titles}
