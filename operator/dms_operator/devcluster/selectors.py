"""Label and field selectors of list and watch requests, with the error messages of apimachinery."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

LabelPredicate = Callable[[Mapping[str, str]], bool]
ObjectPredicate = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(==|!=|[()!,=<>]|[^\s()!,=<>]+)")
_SYMBOLS = frozenset({"(", ")", ",", "!", "=", "==", "!=", "<", ">"})
_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
_NAME = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?", re.ASCII)
_VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


_ALIASES = {"source": "source.component"}
"""Field selectors of events that are not paths."""


class SelectorError(ValueError):
    """A selector that cannot be parsed or is not supported; the message is the API's."""


class Requirement(NamedTuple):
    """One condition on a label: `operator` is in, notin, exists, !, gt or lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet the condition."""
        return _MEETS[self.operator](labels.get(self.key), self.values)


def _compares(compare: Callable[[int, int], bool]) -> Callable[[str | None, tuple[str, ...]], bool]:
    def check(label: str | None, values: tuple[str, ...]) -> bool:
        return label is not None and re.fullmatch(r"-?\d+", label) is not None and compare(int(label), int(values[0]))

    return check


_MEETS: dict[str, Callable[[str | None, tuple[str, ...]], bool]] = {
    "in": lambda label, values: label in values,
    "notin": lambda label, values: label not in values,
    "exists": lambda label, values: label is not None,
    "!": lambda label, values: label is None,
    "gt": _compares(operator.gt),
    "lt": _compares(operator.lt),
}


def parse_label_selector(text: str) -> LabelPredicate:
    """The predicate over labels of `a=b,c!=d,e in (f,g),!h`; raises SelectorError."""
    requirements = _Parser(text).parse()
    return lambda labels: all(requirement.matches(labels) for requirement in requirements)


class _Parser:
    """A recursive descent over the tokens; messages as in apimachinery's labels.Parser."""

    def __init__(self, text: str) -> None:
        self.tokens = [*_TOKEN.findall(text), ""]

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while self.next:
            if self.next in _SYMBOLS - {"!"}:
                raise SelectorError(f"found '{self.next}', expected: !, identifier, or 'end of string'")
            requirements.append(self._checked_requirement())
            separator = self.take()
            if separator == "":
                break
            if separator != ",":
                raise SelectorError(f"found '{separator}', expected: ',' or 'end of string'")
            if not self._is_identifier(self.next) and self.next != "!":
                raise SelectorError(f"found '{self.next}', expected: identifier after ','")
        return requirements

    @property
    def next(self) -> str:
        return str(self.tokens[0])

    def take(self) -> str:
        return str(self.tokens.pop(0)) if len(self.tokens) > 1 else ""

    @staticmethod
    def _is_identifier(token: str) -> bool:
        return token != "" and token not in _SYMBOLS

    def _checked_requirement(self) -> Requirement:
        try:
            return self._requirement()
        except SelectorError as error:
            raise SelectorError(f"unable to parse requirement: {error}") from error

    def _requirement(self) -> Requirement:
        absent = self.next == "!"
        if absent:
            self.take()
        key = self._key()
        if absent:
            return Requirement(key, "!")
        if self.next in ("", ","):
            return Requirement(key, "exists")
        word = self.take()
        if word in ("in", "notin"):
            return Requirement(key, word, tuple(_value(key, each) for each in self._values()))
        if word not in ("=", "==", "!=", ">", "<"):
            raise SelectorError(f"found '{word}', expected: {', '.join(_OPERATORS)}")
        return _comparison(key, word, self._exact_value())

    def _key(self) -> str:
        key = self.take()
        if not self._is_identifier(key):
            raise SelectorError(f"found '{key}', expected: identifier")
        if not _NAME.fullmatch(key):
            raise SelectorError(f'key: Invalid value: "{key}": {_NAME_RULE}')
        return key

    def _exact_value(self) -> str:
        if self.next in ("", ","):
            return ""
        value = self.take()
        if not self._is_identifier(value):
            raise SelectorError(f"found '{value}', expected: identifier")
        return value

    def _values(self) -> list[str]:
        opening = self.take()
        if opening != "(":
            raise SelectorError(f"found '{opening}' expected: '('")
        if self.next not in (",", ")") and not self._is_identifier(self.next):
            raise SelectorError(f"found '{self.next}', expected: ',', ')' or identifier")
        values = list(self._list())
        self.take()
        return values

    def _list(self) -> Iterator[str]:
        while True:
            yield self.take() if self._is_identifier(self.next) else ""
            if self.next == ")":
                return
            if self.next != ",":
                raise SelectorError(f"found '{self.next}', expected: ',' or ')'")
            self.take()


def _value(key: str, value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise SelectorError(f'values[0][{key}]: Invalid value: "{value}": {_VALUE_RULE}')
    return value


def _comparison(key: str, word: str, value: str) -> Requirement:
    if word in (">", "<"):
        if not re.fullmatch(r"-?\d+", value):
            raise SelectorError(
                f"values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return Requirement(key, "gt" if word == ">" else "lt", (value,))
    return Requirement(key, "notin" if word == "!=" else "in", (_value(key, value),))


def parse_field_selector(text: str, supported: Collection[str]) -> ObjectPredicate:
    """The predicate over objects of `metadata.name=x,status.phase!=y`; raises SelectorError."""
    terms = [_field_term(text, term, supported) for term in re.split(r"(?<!\\),", text) if term]
    return lambda obj: all((_field(obj, path) == value) is equal for path, equal, value in terms)


def _field_term(text: str, term: str, supported: Collection[str]) -> tuple[str, bool, str]:
    found = re.match(r"([^=!]*)(!=|==|=)(.*)", term, re.DOTALL)
    if not found:
        raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
    path, comparison, value = found.groups()
    if path not in supported:
        raise SelectorError(f"field label not supported: {path}")
    return path, comparison != "!=", re.sub(r"\\([\\,=])", r"\1", value)


def _field(obj: Mapping[str, Any], path: str) -> str:
    value: Any = obj
    for name in _ALIASES.get(path, path).split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def match_label_selector(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector object (`matchLabels`, `matchExpressions`); None matches nothing, {} everything."""
    if selector is None:
        return False
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_expression(each).matches(labels) for each in selector.get("matchExpressions") or ())


def _expression(expression: Mapping[str, Any]) -> Requirement:
    words = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    if expression["operator"] not in words:
        raise SelectorError(f'"{expression["operator"]}" is not a valid label selector operator')
    return Requirement(expression["key"], words[expression["operator"]], tuple(expression.get("values") or ()))
