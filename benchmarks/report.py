"""Writes a bench's result into its own section of a page, and leaves the other sections alone."""

from __future__ import annotations

import re
from pathlib import Path

_TITLE = (
    "# Performance\n\nMeasured by `make bench`; every number is of one run on one machine, ratios are side by side.\n"
)


def read_section(page: Path, key: str) -> str:
    """The section between the markers of `key`; empty where there is none."""
    found = _section(key).search(page.read_text()) if page.exists() else None
    return found[0] if found else ""


def write_section(page: Path, key: str, title: str, text: str) -> None:
    """Replace the section between the markers of `key`, or add it at the end."""
    begin, end = f"<!-- bench:{key} -->", f"<!-- /bench:{key} -->"
    section = f"{begin}\n## {title}\n\n{text}\n{end}"
    content = page.read_text() if page.exists() else _TITLE
    if _section(key).search(content):
        content = _section(key).sub(lambda _: section, content)
    else:
        content = f"{content.rstrip()}\n\n{section}\n"
    page.write_text(content)


def _section(key: str) -> re.Pattern[str]:
    return re.compile(f"<!-- bench:{re.escape(key)} -->.*?<!-- /bench:{re.escape(key)} -->", re.DOTALL)
