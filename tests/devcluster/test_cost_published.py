"""The estimator against what others publish: costs in cel-go's and Kubernetes' tests, answers of real servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import pytest
from cel_expr_python import cel
from google.protobuf.descriptor_pool import DescriptorPool

from dms_operator.devcluster.schema.cel_programs import checking
from dms_operator.devcluster.schema.cel_tree import syntax_tree
from dms_operator.devcluster.schema.cel_types import checking_environment
from dms_operator.devcluster.schema.cost import estimated_cost
from dms_operator.devcluster.schema.cost_bounds import Bounds, bounds_of
from dms_operator.devcluster.schema.cost_calls import MEMBERS, Size
from dms_operator.devcluster.schema.cost_limits import cost_errors, rule_costs

Schema = dict[str, Any]
Make = Callable[[int | None], Schema]
"""A schema whose bounds are all the given one, or which has none."""
T = cel.Type
OBJECT = T.Map(T.STRING, T.DYN)
LIST, TEXTS = T.List(OBJECT), {"a": T.STRING, "b": T.STRING}


class Hints:
    """Sizes by path, as cel-go's tests give them; what is not named is unknown."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes

    def at(self, path: tuple[str, ...]) -> Bounds | None:
        size = self.sizes.get(".".join(path))
        return None if size is None else Bounds(size, 0)


def cost_of(expression: str, variables: Mapping[str, cel.Type], sizes: Mapping[str, int]) -> int:
    program = checking(variables, DescriptorPool()).compile(expression)
    return estimated_cost(syntax_tree(program), cast(Bounds, Hints(sizes)))


@pytest.mark.parametrize(
    ("expression", "variables", "sizes", "cost"),
    [
        ("'Hello World!'", {}, {}, 0),
        ("a", {"a": LIST}, {}, 1),
        ("a['key']", {"a": T.Map(T.STRING, T.STRING)}, {}, 2),
        ("a.field", {"a": OBJECT}, {}, 2),
        ("has(a.field)", {"a": OBJECT}, {}, 1),  # Kubernetes' option PresenceTestHasCost(false)
        ("has(a.b.c)", {"a": T.Map(T.STRING, OBJECT)}, {}, 2),
        ("[1, 2, 3]", {}, {}, 10),
        ("{'a': 1, 'b': 2, 'c': 3}", {}, {}, 30),
        ("a.all(x, true)", {"a": LIST}, {"": 100}, 302),
        ("a.all(x, x.all(y, true))", {"a": T.List(LIST)}, {"": 50, "@items": 10}, 1752),
        ("[1, 2, 3].all(x, true)", {}, {}, 20),
        ("a.matches('[0-9]')", {"a": T.STRING}, {"": 500}, 103),
        ("'123'.matches('[0-9]')", {}, {}, 2),
        ("true || false", {}, {}, 0),
        ("a || b || c || d", dict.fromkeys("abcd", T.BOOL), {}, 4),
        ("a && b && c && d", dict.fromkeys("abcd", T.BOOL), {}, 4),
        ("1 < 2", {}, {}, 1),
        ("1 == 2", {}, {}, 1),
        ("2 in [1, 2, 3]", {}, {}, 13),
        ("1 + 1", {}, {}, 1),
        ("true ? 1 : 2", {}, {}, 0),
        ("size('123')", {}, {}, 1),
        ("string(a)", {"a": T.BYTES}, {"": 500}, 51),
        ("string(a) == string(a)", {"a": T.BYTES}, {"": 500}, 152),
        ("bytes(a)", {"a": T.STRING}, {"": 500}, 51),
        ("bytes(a) == bytes(a)", {"a": T.STRING}, {"": 500}, 302),
        ("string(1)", {}, {}, 1),
        ("a.contains(b)", TEXTS, {"": 500}, 2502),
        ("a.startsWith(b)", TEXTS, {"": 500}, 52),
        ("a.endsWith(b)", TEXTS, {"": 500}, 52),
        ("a.size()", TEXTS, {}, 2),
        ("size(a)", TEXTS, {}, 2),
        ("(n > 2 ? a : b).all(y, true)", {"n": T.INT, "a": LIST, "b": LIST}, {"": 1}, 7),
        ("a.all(k, a[k].field > 3)", {"a": T.Map(T.STRING, T.Map(T.STRING, T.INT))}, {"": 10}, 82),
        ("a.all(k, a[k].all(x, true))", {"a": T.Map(T.STRING, OBJECT)}, {"": 5, "@values": 10}, 187),
        ("a.all(k, k.contains(k))", {"a": OBJECT}, {"": 5, "@keys": 10}, 32),
        (
            "a.all(k, a[k].all(k, true) && k.contains(k))",
            {"a": T.Map(T.STRING, OBJECT)},
            {"": 2, "@values": 2, "@keys": 5},
            34,
        ),
        ("(a + b).all(x, true)", {"a": T.List(T.INT), "b": T.List(T.INT)}, {"": 10}, 64),
        ("'abcdefg'.contains(a + b)", TEXTS, {"": 10}, 6),
        ("a.size() == b.size()", {"a": LIST, "b": LIST}, {}, 5),
        ("m > n ? a.size() : b.size()", {"m": T.INT, "n": T.INT, "a": LIST, "b": LIST}, {}, 5),
        (f"a.endsWith('{'x' * 26}') == b.endsWith('{'x' * 26}')", TEXTS, {}, 9),
        ("((5 != 6) == (1 == 2)) == ((3 <= 4) == (9 != 9))", {}, {}, 7),
        ("string(a) == string(b)", {"a": T.TIMESTAMP, "b": T.TIMESTAMP}, {}, 1844674407370955268),
        ("a == b", {"a": T.TIMESTAMP, "b": T.TIMESTAMP}, {}, 3),
        ("a != b", {"a": T.DURATION, "b": T.DURATION}, {}, 3),
    ],
)
def test_costs_are_those_of_cel_go(
    expression: str, variables: dict[str, cel.Type], sizes: dict[str, int], cost: int
) -> None:
    """cel-go checker/cost_test.go, TestCost: the upper ends of its intervals."""
    assert cost_of(expression, variables, sizes) == cost


@pytest.mark.parametrize(
    ("expression", "cost"),
    [
        ("'ABCDEFGHIJ abcdefghij'.lowerAscii()", 3),
        ("'ABCDEFGHIJ abcdefghij'.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", 9),
        ("'ABCDEFGHIJ abcdefghij'.upperAscii()", 3),
        ("strings.quote('ABCDEFGHIJ abcdefghij')", 3),
        ("strings.quote('ABCDEFGHIJ abcdefghij') == strings.quote('ABCDEFGHIJ abcdefghij')", 11),
        ("'abc 123 def 123'.replace('123', '456')", 3),
        ("'abc 123 def 123'.replace('', 'x')", 3),
        ("'abc 123 def 123'.replace('123', '456', 1)", 3),
        ("'abc 123 def 123'.split(' ')", 3),
        ("'abc 123 def 123'.split(' ', 1)", 3),
        ("'abc 123 def 123'.substring(5)", 2),
        ("'abc 123 def 123'.substring(5, 8)", 2),
        ("'  abc 123 def 123  '.trim()", 2),
        ("'01234567890123456789012345678901234567890123456789'.indexOf('123')", 5),
        ("'01234567890123456789012345678901234567890123456789'.lastIndexOf('123')", 5),
    ],
)
def test_costs_of_string_functions_are_those_of_kubernetes(expression: str, cost: int) -> None:
    """apiserver/pkg/cel/library/cost_test.go, TestStringLibrary and TestIndexOfCost."""
    assert cost_of(expression, {}, {}) == cost


@pytest.mark.parametrize(
    ("text", "old", "new", "result"),
    [
        ((3, 3), (0, 0), (1, 1), (7, 7)),
        ((3, 3), (1, 1), (0, 0), (0, 3)),
        ((4, 4), (2, 2), (4, 4), (4, 8)),
        ((4, 4), (0, 1), (0, 2), (0, 14)),
        ((4, 4), (1, 1), (1, 2), (4, 8)),
        ((4, 4), (1, 2), (1, 1), (2, 4)),
    ],
)
def test_what_replace_gives_is_as_long_as_kubernetes_says(
    text: tuple[int, int], old: tuple[int, int], new: tuple[int, int], result: tuple[int, int]
) -> None:
    """apiserver/pkg/cel/library/cost_test.go, TestSize."""
    assert MEMBERS["replace"](Size(*text), [Size(*old), Size(*new)])[1] == Size(*result)


def cost_by_schema(rule: str, schema: Schema) -> int:
    bounds = bounds_of(schema)
    assert bounds is not None
    return estimated_cost(syntax_tree(checking_environment(schema, False).compile(rule)), bounds)


def bounded(schema: Schema, word: str, most: int | None) -> Schema:
    return schema if most is None else {**schema, word: most}


def value(kind: str) -> Schema:
    """A type, or a string of a format, or int-or-string."""
    if kind == "int-or-string":
        return {"x-kubernetes-int-or-string": True}
    return {"type": "string", "format": kind} if kind in ("duration", "date", "date-time") else {"type": kind}


def list_of(item: str | Schema, most: int | None) -> Schema:
    items = value(item) if isinstance(item, str) else item
    return bounded({"type": "array", "items": items}, "maxItems", most)


def map_of(entry: str | Schema, most: int | None) -> Schema:
    values = value(entry) if isinstance(entry, str) else entry
    return bounded({"type": "object", "additionalProperties": values}, "maxProperties", most)


def lists(item: str | Schema) -> Make:
    return partial(list_of, item)


def maps(entry: str | Schema) -> Make:
    return partial(map_of, entry)


def text(most: int | None, **more: Any) -> Schema:
    return bounded({"type": "string", **more}, "maxLength", most)


def fields(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


PAIR = {**fields(required={"type": "string"}, optional={"type": "string"}), "required": ["required"]}


@pytest.mark.parametrize(
    ("rule", "make", "free", "most", "cost"),
    [
        ("self.all(x, true)", lists("number"), 4718591, 10, 32),
        ("self.all(x, true)", lists("string"), 3145727, 20, 62),
        ("self.all(x, true)", lists("boolean"), 1887437, 5, 17),
        ("self.all(x, true)", lists(list_of("number", None)), 3145727, 100, 302),
        ("self.all(x, true)", lists(PAIR), 555128, 50, 152),
        ("self.all(x, true)", maps("number"), 1348169, 10, 32),
        ("self.all(x, true)", maps("string"), 1179647, 3, 11),
        ("self.all(x, true)", maps("boolean"), 943718, 100, 302),
        ("self.contains('test')", text, 314574, 10, 5),
        ("self.startsWith('test')", text, 2, 15, 2),
        ("self.endsWith('test')", text, 2, 30, 2),
        ("size(self + 'hello') > size('hello')", text, 314578, 4, 7),
        ("self[1] == 0.0", lists("number"), 2, 5000, 2),
        ("self[1] == self[1]", lists("string"), 314577, 8, 314577),
        ("self.all(x, self.all(y, true))", lists("number"), None, 10, 352),
        ("self.all(x, self.all(y, self.all(z, true)))", lists("number"), None, 10, 3552),
        ("self.matches('x')", text, 314574, 50, 22),
        ("''.matches('(((((((((())))))))))[0-9]')", text, 7, 10, 7),
        ("self.matches('')", text, 1, 100, 1),
        ("self.all(x, x.contains(self[x]))", lambda most: map_of(text(most), most), 2752507, 10, 72),
        ("self[3] == 0.0", lists("number"), 2, 0, 2),
        ("self['x'] == 0.0", maps("number"), 2, 0, 2),
        ("self == 'x'", text, 2, 0, 1),
        ("self == b'x'", lambda most: text(most, format="byte"), 2, 0, 1),
        ("self.all(x, x == 0.0)", lists("number"), 6291454, 3 * 1024 * 2048, 25165826),
        ("self.all(x, x['y'].required == 'z')", lambda most: list_of(map_of(PAIR, most), most), 7340027, 10, 72),
        ("self.all(x, x['y'].required == 'z')", lambda most: list_of(map_of(PAIR, most), None), 7340027, 10, 7340027),
        ("self.all(x, true)", lists("int-or-string"), 4718591, 10, 32),
        ("self[0] == 5", lists("int-or-string"), 3, 10, 3),
        ("self[0] == false", lists("boolean"), 2, 25, 2),
        ("self[0] == null", lists(PAIR), 2, 422, 2),
        ("self[0][0] == -1.0", lists(list_of("number", None)), 3, 51, 3),
        ("self.all(x, x.y == 25.2)", lists(map_of("number", None)), 6291452, 12, 74),
        ("self[0].x > 2.0", lists(map_of("number", None)), 4, 3000, 4),
        ("self.all(x, true)", lists("duration"), 2359295, 5, 17),
        ("self[0].getHours() == 2", lists("duration"), 4, 525, 4),
        ("self.all(x, true)", lists("date"), 725936, 15, 47),
        ("self[2].getDayOfMonth() == 13", lists("date"), 4, 42, 4),
        ("self.all(x, true)", lists("date-time"), 428963, 25, 77),
        ("self[2].getMinutes() == 45", lists("date-time"), 4, 99, 4),
        ("self.all(x, true)", maps("int-or-string"), 1348169, 15, 47),
        ("self.all(x, true)", maps(PAIR), 428963, 20, 62),
        ("self.all(x, true)", maps(map_of("number", None)), 1179647, 10, 32),
        ("self.all(x, true)", maps(list_of("number", None)), 1179647, 25, 77),
        ("self.all(x, true)", maps("duration"), 1048577, 5, 17),
        ("self.all(x, true)", maps("date"), 524288, 10, 32),
        ("self.all(x, true)", maps("date-time"), 349526, 25, 77),
        ("self.join(' ') == 'aa bb'", lambda most: list_of(text(most), most), 329853068905, 10, 43),
        (
            "self.str.replace(self.before, self.after) == 'does not matter'",
            lambda most: fields(str=text(most), before=text(2), after=text(4)),
            629154,
            4,
            12,
        ),
        (
            "self.str.split(self.separator) == []",
            lambda most: fields(str=text(most), separator=text(most)),
            629160,
            10,
            22,
        ),
        ("self.lowerAscii() == 'lower!'", text, 314575, 10, 6),
        ("oldSelf.size() == self.size()", maps("integer"), 5, 10, 5),
        ("self['a'] == self['b']", maps("date-time"), 8, 7, 8),
        ("self['c'] == self['d']", maps("duration"), 8, 42, 8),
        ("self.contains('A')", lambda most: text(most, enum=["A", "B", "C", "LongValue"]), 2, 1000, 401),
    ],
)
def test_costs_by_the_schema_are_those_of_kubernetes(
    rule: str, make: Make, free: int | None, most: int, cost: int
) -> None:
    """apiextensions-apiserver/pkg/apiserver/schema/cel/compilation_test.go, TestCostEstimation.

    `free` is the cost without bounds (None: above a million), `cost` the one with every bound at `most`.
    """
    unbounded, bounded_cost = (cost_by_schema(rule, schema) for schema in (make(None), make(most)))
    assert bounded_cost == cost
    assert unbounded == free if free is not None else unbounded > 1_000_000


GUARDED = (
    "(!has(self.expect.contains) || !self.message.contains(self.expect.contains)) && "
    "(!has(self.expect.equals) || self.message != self.expect.equals)"
)


def suite(rule: str, message: int, expectation: int) -> Schema:
    expect = fields(contains=text(expectation), equals=text(expectation))
    case = {**fields(message=text(message), expect=expect), "x-kubernetes-validations": [{"rule": rule}]}
    return fields(cases=list_of(case, 20))


@pytest.mark.parametrize(("message", "expectation"), [(1024, 1024), (4096, 512), (4096, 256), (4096, 128)])
def test_what_a_real_server_installed_is_within_the_limits(message: int, expectation: int) -> None:
    """A review on GitHub that tried this rule and these bounds on kube-apiserver 1.36.2."""
    assert list(cost_errors(rule_costs(suite(GUARDED, message, expectation), "s"), "s")) == []


@pytest.mark.parametrize("rule", [GUARDED, "!self.message.contains(self.expect.contains)"])
def test_what_a_real_server_refused_is_refused_by_the_same_factor(rule: str) -> None:
    """The same review: 5.4x with both bounds at 4096."""
    [error] = cost_errors(rule_costs(suite(rule, 4096, 4096), "s"), "s")
    assert error.field == "s.properties[cases].items.x-kubernetes-validations[0].rule"
    assert error.message.startswith("Forbidden: estimated rule cost exceeds budget by factor of 5.4x (try simplifying")


def test_an_integer_that_becomes_text_is_refused_in_the_words_of_a_real_server() -> None:
    """Kubernetes issue 124234, message by message."""
    schema = fields(attempts={"type": "integer"})
    rule = {"rule": "self.attempts >= 0", "messageExpression": "'invalid attempts: ' + string(self.attempts)"}
    place = "s.properties[config].x-kubernetes-validations[0].messageExpression: Forbidden:"
    excess = (
        "exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and "
        "maxLength where arrays, maps, and strings are declared)"
    )
    whole = "for entire OpenAPIv3 schema"
    costs = rule_costs(fields(config={**schema, "x-kubernetes-validations": [rule]}), "s")
    assert [str(error) for error in cost_errors(costs, "s")] == [
        f"{place} estimated messageExpression cost {excess}",
        f"{place} contributed to estimated rule cost total exceeding cost limit {whole}",
        f"s: Forbidden: x-kubernetes-validations estimated rule cost total {whole} {excess}",
    ]
