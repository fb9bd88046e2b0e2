"""Deployments' samples as the text that Prometheus reads: made when they change, and kept until they change again.

A scrape of thousands of deployments is then no more than handing out what lies there.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from prometheus_client.utils import floatToGoString

from .caches import ObjectName
from .samples import Family, Sample

PIECE = 500
"""Deployments whose text goes out at once: some 100 kB of a family, so that other work comes in between."""


class Exposition:
    """The text of all deployments, which are gauges."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._forms = {family: _Form(family) for family in families}
        self._texts: dict[ObjectName, tuple[bytes, ...]] = {}
        """By deployment, of each family in their order."""

    def put(self, name: ObjectName, samples: Iterable[Sample]) -> None:
        """Replace a deployment's samples."""
        lines: dict[Family, list[str]] = {family: [] for family in self._forms}
        for family, labels, value in samples:
            lines[family].append(self._forms[family].line(labels, value))
        self._texts[name] = tuple(["".join(each).encode() for each in lines.values()])

    def forget(self, name: ObjectName) -> None:
        """Remove a deployment's samples."""
        self._texts.pop(name, None)

    def pieces(self) -> Iterator[bytes]:
        """The whole text, family by family, as it was when the first piece was taken."""
        texts = list(self._texts.values())
        for place, form in enumerate(self._forms.values()):
            yield form.head
            for first in range(0, len(texts), PIECE):
                yield b"".join([text[place] for text in texts[first : first + PIECE]])


class _Form:
    """How the samples of a family are written: labels by name, as the client library does."""

    def __init__(self, family: Family) -> None:
        self.head = f"# HELP {family.name} {_escaped_help(family.help)}\n# TYPE {family.name} gauge\n".encode()
        # Of labels in their own order the template asks by place: they are not put into another one each time.
        labels = ",".join(
            f'{label}="{{{place}}}"' for label, place in sorted(zip(family.labels, count(), strict=False))
        )
        self._filled = f"{family.name}{{{{{labels}}}}} {{{len(family.labels)}}}\n".format

    def line(self, labels: Sequence[str], value: float) -> str:
        return self._filled(*_escaped(labels), floatToGoString(value))  # type: ignore[no-untyped-call]


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _escaped(values: Sequence[str]) -> Sequence[str]:
    """Hardly any label has something to escape: they are looked at together."""
    together = "".join(values)
    if "\\" in together or "\n" in together or '"' in together:
        return [_escaped_help(value).replace('"', r"\"") for value in values]
    return values
