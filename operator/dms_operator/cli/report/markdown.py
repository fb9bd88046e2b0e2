"""A report as Markdown. Pictures are left out: the tables hold their figures."""

from collections.abc import Iterator, Sequence

from .document import Block, Code, Document, Items, Picture, Section, Table, Text


def as_markdown(document: Document) -> str:
    """The whole report."""
    lines = [f"# {document.title}: {document.verdict}", "", document.subtitle, ""]
    for section in document.sections:
        lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"{'#' * (section.level + 1)} {section.title}"
    yield ""
    for block in section.blocks:
        yield from _block(block)
        yield ""


def _block(block: Block) -> Iterator[str]:
    match block:
        case Table():
            yield _row(block.header)
            yield _row(["--:" if number in block.numeric else "---" for number in range(len(block.header))])
            yield from (_row([str(cell) for cell in row]) for row in block.rows)
        case Text():
            yield f"*{block.text}*" if block.quiet else block.text
        case Items():
            yield from (f"- {item}" for item in block.items)
        case Code():
            yield from ("```", block.text, "```")
        case Picture():
            yield f"*{block.caption}*"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells) + " |"
