from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.recordings import exchange, recorded, widget_schema
from dms_operator.devcluster.apply import Conflict, record_update, server_side_apply
from dms_operator.devcluster.fields import decode, encode
from dms_operator.devcluster.schema.builtin import builtin_schema
from dms_operator.devcluster.schema.defaulting import apply_defaults

SCHEMA = widget_schema()
NOW, LATER = "2026-11-22T21:54:42Z", "2026-11-22T22:00:00Z"


def widget(items: list[Any] | None = None, **spec: Any) -> dict[str, Any]:
    spec = {**spec, **({"items": items} if items is not None else {})}
    return {"apiVersion": "demo.example/v1", "kind": "Widget", "metadata": {"name": "s"}, "spec": spec}


def applied(live: Any, body: Any, manager: str, force: bool = False, now: str = NOW) -> dict[str, Any]:
    return server_side_apply(live, body, manager, force, SCHEMA, "", now)


def test_the_recorded_applies_give_the_recorded_objects_and_conflicts() -> None:
    live: Any = None
    for each in recorded("06"):
        request, response = each["request"], each["response"]
        query = request.get("query") or {}
        if request["method"] != "PATCH" or "fieldManager" not in query:
            continue
        subresource = "status" if request["path"].endswith("/status") else ""
        force = query.get("force") == "true"
        try:
            merged = server_side_apply(live, request["body"], query["fieldManager"], force, SCHEMA, subresource, NOW)
        except Conflict as conflict:
            body = response["body"]
            assert (conflict.message, conflict.causes) == (body["message"], body["details"]["causes"])
            continue
        live = apply_defaults(SCHEMA, merged)
        want = response["body"]
        assert live["metadata"]["managedFields"] == want["metadata"]["managedFields"], each["note"]
        assert (live["spec"], live.get("status")) == (want["spec"], want.get("status")), each["note"]


def test_an_update_owns_what_it_changed_containers_included() -> None:
    created = exchange("05", "get")["response"]["body"]
    entry = exchange("05", "update without resourceVersion")["request"]["body"]["metadata"]["managedFields"][0]
    recorded_object = record_update(None, created, "python-httpx", "Update", "", SCHEMA, entry["time"])
    assert recorded_object["metadata"]["managedFields"] == [entry]


ITEMS = st.lists(
    st.fixed_dictionaries({"key": st.sampled_from("abcd")}, optional={"val": st.sampled_from(["1", "2"])}),
    max_size=3,
    unique_by=lambda item: item["key"],
)
WIDGETS = st.builds(
    lambda items, spec: widget(items, **spec),
    st.none() | ITEMS,
    st.fixed_dictionaries({"size": st.integers(1, 3)}, optional={"color": st.sampled_from(["red", "blue"])}),
)


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), WIDGETS), min_size=1, max_size=4))
def test_applying_again_is_a_no_op(applies: list[tuple[str, Any]]) -> None:
    live: Any = None
    for manager, body in applies:
        live = applied(live, body, manager, force=True)
    manager, body = applies[-1]
    assert applied(live, body, manager, now=LATER) == live


@given(WIDGETS, WIDGETS)
def test_a_single_manager_gets_exactly_what_it_applied_last(first: Any, second: Any) -> None:
    live = applied(applied(None, first, "one"), second, "one")
    assert live["spec"]["size"] == second["spec"]["size"]
    assert live["spec"].get("color") == second["spec"].get("color")
    keys = [item["key"] for item in live["spec"].get("items") or []]
    assert sorted(keys) == sorted(item["key"] for item in second["spec"].get("items") or [])


@given(WIDGETS, WIDGETS)
def test_whatever_a_manager_applied_is_in_the_object(first: Any, second: Any) -> None:
    live = applied(applied(None, first, "one"), second, "two", force=True)
    items = {item["key"]: item for item in live["spec"].get("items") or []}
    for item in second["spec"].get("items") or []:
        assert items[item["key"]].items() >= item.items()
    for item in first["spec"].get("items") or []:
        assert item["key"] in items


def test_dropping_an_item_removes_it_only_when_nobody_else_owns_it() -> None:
    both = applied(applied(None, widget([{"key": "a"}], size=1), "one"), widget([{"key": "a"}], size=1), "two")
    first_gone = applied(both, widget(size=1), "one")
    assert first_gone["spec"]["items"] == [{"key": "a"}]
    assert "items" not in applied(first_gone, widget(size=1), "two")["spec"]


def test_a_field_of_somebody_else_inside_a_dropped_item_keeps_the_item() -> None:
    live = applied(None, widget([{"key": "a"}], size=1), "one")
    edited = {**live, "spec": {**live["spec"], "items": [{"key": "a", "val": "x"}]}}
    edited = record_update(live, edited, "editor", "Update", "", SCHEMA, NOW)
    assert applied(edited, widget(size=1), "one")["spec"]["items"] == [{"key": "a", "val": "x"}]


def test_a_conflict_with_an_update_says_with_which_version_and_when() -> None:
    live = record_update(None, widget(size=1), "kubectl", "Update", "", SCHEMA, NOW)
    with pytest.raises(Conflict) as caught:
        applied(live, widget(size=2), "one")
    assert caught.value.message == (
        f'Apply failed with 1 conflict: conflict with "kubectl" using demo.example/v1 at {NOW}: .spec.size'
    )


def test_several_conflicts_are_grouped_by_manager() -> None:
    live = applied(None, widget([{"key": "a", "val": "1"}], size=1), "one")
    with pytest.raises(Conflict) as caught:
        applied(live, widget([{"key": "a", "val": "2"}], size=2), "two")
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.items[key="a"].val\n- .spec.size'
    )
    assert caught.value.conflicts == [("one", '.spec.items[key="a"].val'), ("one", ".spec.size")]


def test_agreeing_on_a_value_is_no_conflict() -> None:
    live = applied(applied(None, widget(size=1), "one"), widget(size=1), "two")
    assert [entry["manager"] for entry in live["metadata"]["managedFields"]] == ["one", "two"]


def test_an_update_takes_fields_away_from_those_who_applied_them() -> None:
    live = applied(None, widget(size=1, name="n"), "one")
    updated = record_update(live, {**live, "spec": {"size": 2, "name": "n"}}, "editor", "Update", "", SCHEMA, LATER)
    owners = {entry["manager"]: entry["fieldsV1"] for entry in updated["metadata"]["managedFields"]}
    assert owners == {"one": {"f:spec": {"f:name": {}}}, "editor": {"f:spec": {"f:size": {}}}}


def test_an_update_that_changes_nothing_changes_no_entry() -> None:
    live = record_update(None, widget(size=1), "one", "Update", "", SCHEMA, NOW)
    assert record_update(live, dict(live), "two", "Update", "", SCHEMA, LATER) == live


def test_the_first_apply_to_an_object_without_managers_names_the_earlier_owner() -> None:
    live = applied(widget(size=1, name="n"), widget(size=1), "one")
    assert [entry["manager"] for entry in live["metadata"]["managedFields"]] == ["one", "before-first-apply"]


def test_an_applied_status_leaves_the_rest_alone() -> None:
    live = applied(None, widget(size=1), "one")
    body = {**widget(size=9), "status": {"phase": "Z"}}
    merged = server_side_apply(live, body, "ctl", False, SCHEMA, "status", NOW)
    assert (merged["spec"], merged["status"]) == ({"size": 1}, {"phase": "Z"})
    assert merged["metadata"]["managedFields"][0]["fieldsV1"] == {"f:status": {"f:phase": {}}}


def test_containers_of_a_job_are_merged_by_name() -> None:
    schema = builtin_schema("batch", "Job")

    def job(*containers: Any) -> Any:
        spec = {"template": {"spec": {"containers": list(containers)}}}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}

    live = server_side_apply(None, job({"name": "a", "image": "1"}), "one", False, schema, "", NOW)
    live = server_side_apply(live, job({"name": "b", "image": "2"}), "two", False, schema, "", NOW)
    names = [each["name"] for each in live["spec"]["template"]["spec"]["containers"]]
    assert names == ["a", "b"]


def test_lists_of_scalars_are_united_as_sets() -> None:
    def body(*finalizers: str) -> Any:
        return {**widget(size=1), "metadata": {"name": "s", "finalizers": list(finalizers)}}

    live = applied(applied(None, body("x/a"), "one"), body("x/b"), "two")
    assert live["metadata"]["finalizers"] == ["x/a", "x/b"]
    assert applied(live, body("x/c"), "one")["metadata"]["finalizers"] == ["x/b", "x/c"]


PATHS = st.frozensets(
    st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":"x"}', 'v:"y"']), min_size=1, max_size=4).map(tuple), max_size=6
)


@given(PATHS)
def test_field_sets_survive_encoding(paths: frozenset[tuple[str, ...]]) -> None:
    assert frozenset(decode(encode(paths))) == paths
