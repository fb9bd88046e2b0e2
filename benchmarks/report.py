"""Writes a bench's result into its own section of a page, and leaves the other sections alone."""

from __future__ import annotations

import re
from pathlib import Path

_TITLE = (
    "# Performance\n\nMeasured by `make bench`; every number is of one run on one machine, ratios are side by side.\n"
)


def write_section(page: Path, key: str, title: str, text: str) -> None:
    """Replace the section between the markers of `key`, or add it at the end."""
    begin, end = f"<!-- bench:{key} -->", f"<!-- /bench:{key} -->"
    section = f"{begin}\n## {title}\n\n{text}\n{end}"
    content = page.read_text() if page.exists() else _TITLE
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(content):
        content = pattern.sub(lambda _: section, content)
    else:
        content = f"{content.rstrip()}\n\n{section}\n"
    page.write_text(content)
