"""What a report consists of, whatever it is written as."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tag:
    """A word that is set apart: a provenance, or the outcome of a gate."""

    word: str

    def __str__(self) -> str:
        """The word."""
        return self.word


@dataclass(frozen=True)
class Figure:
    """A figure with its provenance, never one without the other."""

    text: str
    tag: Tag
    note: str = ""
    """Small print behind the provenance, such as the number of a remark."""
    on_target: "Figure | None" = None
    """The same once more, with the target's own arithmetic."""

    def __str__(self) -> str:
        """Everything, over two lines where the target has its own figure."""
        text = " ".join(filter(None, (self.text, str(self.tag), self.note)))
        return f"{text}\non target {self.on_target}" if self.on_target else text


Cell = str | Tag | Figure


@dataclass(frozen=True)
class Table:
    """Rows of cells; `numeric` columns are aligned to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Text:
    """A paragraph; `quiet` for remarks."""

    text: str
    quiet: bool = False


@dataclass(frozen=True)
class Items:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Lines to type or to keep."""

    text: str


@dataclass(frozen=True)
class Picture:
    """An SVG drawing; `caption` says in words what it shows, where pictures do not."""

    svg: str
    caption: str


Block = Table | Text | Items | Code | Picture


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it; level 2 stands inside the level 1 before it."""

    title: str
    blocks: list[Block] = field(default_factory=list)
    level: int = 1


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    verdict: Tag
    sections: list[Section]
