"""Commands of a documentation page, so that tests run what users are told to run."""

import shlex
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def commands(page: str, block: str) -> Iterator[list[str]]:
    """Words of each command of the indented block behind `<!-- test: <block> -->`."""
    marker = f"<!-- test: {block} -->\n"
    text = (DOCS / page).read_text()
    assert text.count(marker) == 1, f"{page} has no block {block}"
    for line in text.partition(marker)[2].splitlines():
        if not line.startswith("    "):
            return
        yield shlex.split(line)
