from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.recordings import exchange
from dms_operator.devcluster.patches import PatchError, json_patch, merge_patch, strategic_merge_patch
from dms_operator.devcluster.schema.builtin import merge_keys

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.booleans() | st.integers() | st.text(max_size=3)
WITHOUT_NULLS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(NAMES, WITHOUT_NULLS, max_size=3)
PATCHES = st.dictionaries(
    NAMES,
    st.recursive(st.none() | SCALARS, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8),
    max_size=3,
)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the test cases of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_the_rfc_says(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@given(OBJECTS, PATCHES)
def test_a_merge_patch_applied_twice_is_a_merge_patch_applied_once(obj: Any, patch: Any) -> None:
    once = merge_patch(obj, patch)
    assert merge_patch(once, patch) == once


@given(OBJECTS)
def test_an_empty_merge_patch_changes_nothing_and_an_object_patches_nothing_into_itself(obj: Any) -> None:
    assert merge_patch(obj, {}) == obj
    assert merge_patch({}, obj) == obj


@given(OBJECTS, PATCHES)
def test_patches_do_not_change_their_input(obj: Any, patch: Any) -> None:
    before = copy.deepcopy((obj, patch))
    merge_patch(obj, patch)
    strategic_merge_patch(obj, patch, {"a": "b", "c": ""})
    assert (obj, patch) == before


@given(OBJECTS, PATCHES)
def test_without_merged_lists_a_strategic_patch_is_a_merge_patch(obj: Any, patch: Any) -> None:
    assert strategic_merge_patch(obj, patch, {}) == merge_patch(obj, patch)


def test_the_recorded_json_patch_is_applied() -> None:
    case = exchange("05", "json patch")
    before = exchange("05", "merge patch null deletes")["response"]["body"]
    patched = json_patch(before, case["request"]["body"])
    after = case["response"]["body"]
    assert (patched["spec"], patched["metadata"]["labels"]) == (after["spec"], after["metadata"]["labels"])
    assert "labels" not in before["metadata"]


@pytest.mark.parametrize("note", ["json patch failing test", "json patch removing a missing path"])
def test_a_json_patch_that_does_not_fit_is_refused(note: str) -> None:
    before = exchange("05", "json patch")["response"]["body"]
    with pytest.raises(PatchError):
        json_patch(before, exchange("05", note)["request"]["body"])


@pytest.mark.parametrize("operations", [[{"op": "fly", "path": "/a"}], [{"op": "add"}], ["add"]])
def test_a_malformed_json_patch_is_refused(operations: Any) -> None:
    with pytest.raises(PatchError):
        json_patch({"a": 1}, operations)


POD = {
    "metadata": {"finalizers": ["a", "b"], "labels": {"x": "1"}},
    "spec": {
        "containers": [
            {"name": "main", "image": "one", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"name": "side", "image": "two"},
        ],
        "tolerations": [{"key": "t"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    },
}
KEYS = merge_keys("", "Pod")


def patched(patch: dict[str, Any]) -> dict[str, Any]:
    return strategic_merge_patch(POD, patch, KEYS)


def test_items_are_merged_by_their_key_at_any_depth() -> None:
    env = [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]
    containers = patched({"spec": {"containers": [{"name": "main", "env": env}]}})["spec"]["containers"]
    assert [each["name"] for each in containers] == ["main", "side"]
    assert containers[0]["image"] == "one"
    assert [(each["name"], each["value"]) for each in containers[0]["env"]] == [("A", "1"), ("B", "3"), ("C", "4")]


def test_atomic_lists_are_replaced() -> None:
    assert patched({"spec": {"tolerations": []}})["spec"]["tolerations"] == []


def test_an_item_is_deleted_by_directive() -> None:
    containers = patched({"spec": {"containers": [{"name": "main", "$patch": "delete"}]}})["spec"]["containers"]
    assert [each["name"] for each in containers] == ["side"]


def test_a_list_or_map_is_replaced_by_directive() -> None:
    replaced = patched(
        {
            "metadata": {"labels": {"$patch": "replace", "y": "2"}},
            "spec": {"containers": [{"name": "only"}, {"$patch": "replace"}]},
        }
    )
    assert replaced["spec"]["containers"] == [{"name": "only"}]
    assert replaced["metadata"]["labels"] == {"y": "2"}


def test_scalars_are_united_and_removed_by_directive() -> None:
    assert patched({"metadata": {"finalizers": ["c", "a"]}})["metadata"]["finalizers"] == ["a", "b", "c"]
    removed = patched({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
    assert removed["metadata"]["finalizers"] == ["b"]


def test_kubectl_states_the_order_of_items() -> None:
    order = [{"name": "side"}, {"name": "new"}, {"name": "main"}]
    patch = {"spec": {"$setElementOrder/containers": order, "containers": [{"name": "new"}]}}
    assert [each["name"] for each in patched(patch)["spec"]["containers"]] == ["side", "new", "main"]


def test_retain_keys_drops_the_other_members() -> None:
    volume = {"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}
    assert patched({"spec": {"volumes": [volume]}})["spec"]["volumes"] == [{"name": "v", "hostPath": {"path": "/x"}}]


def test_an_item_without_its_merge_key_is_refused() -> None:
    with pytest.raises(PatchError, match="does not contain declared merge key: name"):
        patched({"spec": {"containers": [{"image": "three"}]}})
