from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.recordings import recorded
from dms_operator.devcluster.selectors import (
    SelectorError,
    match_label_selector,
    parse_field_selector,
    parse_label_selector,
)

LISTS = [each for each in recorded("07") if "as=" not in each["request"]["headers"]["Accept"]]
LABELLED = [each for each in LISTS if "labelSelector" in (each["request"].get("query") or {})]
FIELDS = ("metadata.name", "metadata.namespace", "status.phase", "spec.unschedulable")


def _objects() -> list[Any]:
    found = {}
    for each in LISTS:
        for item in each["response"]["body"].get("items", ()):
            found[item["metadata"]["name"]] = item
    return sorted(found.values(), key=lambda item: item["metadata"]["name"])


@pytest.mark.parametrize("each", LABELLED, ids=lambda each: each["note"])
def test_label_selectors_select_what_the_real_server_selected(each: Any) -> None:
    query, body = each["request"]["query"], each["response"]["body"]
    if each["response"]["code"] == 400:
        with pytest.raises(SelectorError) as caught:
            parse_label_selector(query["labelSelector"])
        assert str(caught.value) == body["message"]
        return
    matches = parse_label_selector(query["labelSelector"])
    names = [obj["metadata"]["name"] for obj in _objects() if matches(obj["metadata"].get("labels", {}))]
    shown = [item["metadata"]["name"] for item in body["items"]]
    assert set(shown) <= set(names)
    if "limit" not in query:
        assert shown == names


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("a", True),
        ("!a", False),
        ("a=1", True),
        ("a == 1", True),
        ("a!=1", False),
        ("missing!=1", True),
        ("missing=", False),
        ("a in (1, 2)", True),
        ("a notin (1,2)", False),
        ("missing notin (1)", True),
        ("n>5,n<7", True),
        ("n>6", False),
        ("a>5", False),
        ("in=in", True),
        ("example.com/x=y", True),
        ("a in (1),!b,n=6", True),
    ],
)
def test_every_operator_matches(text: str, matches: bool) -> None:
    labels = {"a": "1", "n": "6", "in": "in", "example.com/x": "y"}
    assert parse_label_selector(text)(labels) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a in (x y)", "unable to parse requirement: found 'y', expected: ',' or ')'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
    ],
)
def test_a_selector_that_cannot_be_parsed_says_where(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_label_selector(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["a=-", "-a=b", "a=" + "x" * 64, "a>b"])
def test_impossible_labels_are_refused(text: str) -> None:
    with pytest.raises(SelectorError, match="Invalid value"):
        parse_label_selector(text)


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")), st.sampled_from("abc"), st.sampled_from("xyz"))
def test_a_selector_and_its_opposite_split_the_world(labels: dict[str, str], key: str, value: str) -> None:
    for one, other in (("{k}={v}", "{k}!={v}"), ("{k} in ({v})", "{k} notin ({v})"), ("{k}", "!{k}")):
        first = parse_label_selector(one.format(k=key, v=value))(labels)
        assert first is not parse_label_selector(other.format(k=key, v=value))(labels)


@given(st.text(alphabet="ab=!,() in>", max_size=12))
def test_any_text_is_either_parsed_or_refused_with_a_message(text: str) -> None:
    try:
        assert parse_label_selector(text)({}) in (True, False)
    except SelectorError as error:
        assert str(error)


def test_field_selectors_compare_fields_as_text() -> None:
    pod = {"metadata": {"name": "p", "namespace": "n"}, "status": {"phase": "Running"}, "spec": {"unschedulable": True}}
    for text in ("metadata.name=p", "metadata.name==p,status.phase!=Failed", "spec.unschedulable=true", ""):
        assert parse_field_selector(text, FIELDS)(pod)
    assert not parse_field_selector("metadata.name!=p", FIELDS)(pod)
    assert parse_field_selector("status.phase=", FIELDS)({"metadata": {}})


def test_events_are_selected_by_their_source() -> None:
    event = {"metadata": {}, "source": {"component": "kubelet", "host": "n"}}
    assert parse_field_selector("source=kubelet", ["source"])(event)


def test_an_unsupported_field_is_refused_as_by_the_real_server() -> None:
    case = next(each for each in LISTS if each["note"] == "field selector unsupported")
    with pytest.raises(SelectorError) as caught:
        parse_field_selector(case["request"]["query"]["fieldSelector"], FIELDS)
    assert str(caught.value) == case["response"]["body"]["message"]


def test_a_field_selector_without_operator_is_refused() -> None:
    with pytest.raises(SelectorError, match=r"invalid selector: 'metadata\.name'; can't understand 'metadata\.name'"):
        parse_field_selector("metadata.name", FIELDS)


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selector_objects_match(selector: Any, matches: bool) -> None:
    assert match_label_selector(selector, {"a": "1"}) is matches
