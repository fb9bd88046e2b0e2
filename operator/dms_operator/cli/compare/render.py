"""The comparison as text, Markdown or JSON."""

import json
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dms_operator.controller.text import clip

from .advice import RULES, Advice, told
from .cells import HEADER, Cell, Line, Section

PASSES = "passes every gate"
MARK = "*"
NOTE_LIMIT = 300
"""Letters of a remark on a terminal; Markdown and JSON have all of it."""


class Notes:
    """Remarks below the table: each is told once, and cells refer to it by number."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def shown(self, cell: Cell) -> str:
        """A cell with the numbers of its notes."""
        marks = [self._number(note) for note in cell.notes]
        return f"{cell} [{','.join(map(str, marks))}]" if marks else str(cell)

    def _number(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def as_text(found: Sequence[Section], advice: Sequence[Advice], console: Console) -> None:
    """Print tables, notes and the recommendation."""
    notes = Notes()
    for section in found:
        console.print(f"[bold]{escape(section.title)}[/]", highlight=False)
        console.print(table(section, notes), highlight=False)
    for number, text in enumerate(notes.texts, 1):
        console.print(f"[dim]\\[{number}] {escape(clip(text, NOTE_LIMIT))}[/]", highlight=False)
    console.print(f"[dim]{MARK} {PASSES}[/]\n\n[bold]Recommendation[/]", highlight=False)
    for each in advice:
        missing = "[yellow]missing:[/] " if each.missing else ""
        console.print(f"- [cyan]{each.rule}[/]: {missing}{escape(each.text)}", highlight=False)
        for figure in each.figures:
            console.print(f"    [dim]{escape(figure)}[/]", highlight=False)


def table(section: Section, notes: Notes) -> Table:
    """One model's table for the terminal."""
    result = Table(*HEADER, pad_edge=False, box=box.SIMPLE_HEAD)
    previous = ""
    for line in section.lines:
        if line.platform and line.platform != previous:
            result.add_section()
            previous, platform = line.platform, line.platform
        else:
            platform = ""
        result.add_row(*(escape(text) for text in (platform, _precision(line), *map(notes.shown, line.cells))))
    return result


def _precision(line: Line) -> str:
    return f"{line.precision} {MARK}" if line.passes else line.precision


def as_markdown(found: Sequence[Section], advice: Sequence[Advice]) -> str:
    """Tables, notes, recommendation and rules for a page or a pull request."""
    notes, lines = Notes(), []
    for section in found:
        lines += [f"### {section.title}", "", _row(HEADER), _row(["---"] * len(HEADER))]
        lines += [_row([line.platform, _precision(line), *map(notes.shown, line.cells)]) for line in section.lines]
        lines.append("")
    lines += [f"[{number}] {text}  " for number, text in enumerate(notes.texts, 1)]
    lines += [f"{MARK} {PASSES}", "", "### Recommendation", ""]
    lines += [f"- `{each.rule}`: {told(each)}" for each in advice]
    used = dict.fromkeys(each.rule for each in advice)
    return "\n".join([*lines, "", "Rules:", "", *(f"- `{rule}`: {RULES[rule]}" for rule in used), ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells) + " |"


def as_json(found: Sequence[Section], advice: Sequence[Advice]) -> str:
    """Everything as one document."""
    document = {"models": [_section(each) for each in found], "recommendation": [_advice(each) for each in advice]}
    return json.dumps(document | {"rules": RULES}, indent=2, ensure_ascii=False)


def _section(section: Section) -> dict[str, Any]:
    names = ("latency", "power", "accuracy", "size")
    rows = [
        {"platform": line.platform, "precision": line.precision, "passes": line.passes, "ratio": line.is_ratio}
        | {name: cell.to_wire() for name, cell in zip(names, line.cells, strict=True)}
        for line in section.lines
    ]
    return {"title": section.title, "rows": rows}


def _advice(advice: Advice) -> dict[str, Any]:
    return {"rule": advice.rule, "text": advice.text, "figures": list(advice.figures), "missing": advice.missing}
