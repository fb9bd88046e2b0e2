"""What the CRD lets through, and the operator refuses with the field's name before any pod runs."""

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.test_admission_agrees import ALL, MINIMAL, SCHEMA, admission_problems, operator_accepts
from dms_operator.api.errors import InvalidSpec
from dms_operator.api.node_labels import NodeLabels
from dms_operator.api.resource import parse_spec
from dms_operator.devcluster.names import LABEL_LENGTH, qualified_name_problems
from dms_operator.devcluster.schema.defaulting import apply_defaults

X86, TI, HTP = ({"name": "a", "board": board} for board in ("generic-x86", "tda4vm", "qcs8255"))


def static(target: dict[str, Any], *precisions: str, **form: Any) -> dict[str, Any]:
    """A spec that asks for one form."""
    quantization = {"method": "static", "precisions": list(precisions) or ["int8"], "static": form}
    return MINIMAL | {"targets": [target], "quantization": quantization}


def refusal(spec: dict[str, Any]) -> str:
    with pytest.raises(InvalidSpec) as refused:
        parse_spec({"spec": apply_defaults(SCHEMA, spec)})
    return refused.value.message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (static(X86, mixed=True), "8-bit activations alone: leave out quantization.static.mixed"),
        (static(X86, activationBits=16), "8-bit activations alone: leave out quantization.static.mixed"),
        (static(HTP | {"toolchain": "onnxruntime"}, mixed=True), "ONNX Runtime on the CPU has kernels"),
        (static(TI, perChannel=True), "TIDL's scales are powers of two"),
        (static(TI, symmetricActivations=False), "TIDL's scales are powers of two"),
        (static(TI, rounding="learned"), "leave out quantization.static.perChannel, symmetricActivations and rounding"),
        (static(TI, mixed=True, activationBits=16), "mixed has nothing left to widen"),
        (static(HTP, mixed=True, activationBits=16), "mixed has nothing left to widen"),
    ],
)
def test_a_form_that_the_toolchain_does_not_make_is_refused_with_what_to_leave_out(
    spec: dict[str, Any], words: str
) -> None:
    assert admission_problems(spec) == []
    assert refusal(spec).startswith("spec: target a: ")
    assert words in refusal(spec)


@pytest.mark.parametrize(
    "spec",
    [
        static(X86, perChannel=False, rounding="learned", equalize=True, correctBias=True),
        static(X86, "fp16", mixed=True),
        static(X86 | {"precisions": ["fp32"]}, mixed=True),
        static(TI, mixed=True),
        static(TI, activationBits=16, perChannel=False, symmetricActivations=True),
        static(HTP, activationBits=16, rounding="learned", perChannel=True),
        static(HTP, "int4", mixed=True, activationBits=16),
    ],
)
def test_a_form_that_is_made_is_accepted(spec: dict[str, Any]) -> None:
    assert admission_problems(spec) == []
    assert operator_accepts(spec)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"targets": [HTP | {"nodeSelector": {"bad key": "x"}}]}, "spec.targets.0.nodeSelector: 'bad key' is no label"),
        ({"targets": [HTP | {"nodeSelector": {"lab": "rack 3"}}]}, "'rack 3' is no value of label lab"),
        (
            {"rollout": {"waves": [ALL], "selector": {"matchLabels": {"Bad_Domain/x": "y"}}}},
            "spec.rollout.selector.matchLabels: 'Bad_Domain/x' is no label",
        ),
        (
            {"rollout": {"waves": [ALL], "selector": {"excludeLabels": {"x": "-y"}}}},
            "spec.rollout.selector.excludeLabels: '-y' is no value of label x",
        ),
    ],
)
def test_labels_that_no_node_can_carry_are_refused_by_the_fields_name(change: dict[str, Any], told: str) -> None:
    assert told in refusal(MINIMAL | change)


LABELS = TypeAdapter(NodeLabels)


def is_taken(key: str, value: str) -> bool:
    try:
        LABELS.validate_python({key: value})
    except ValidationError:
        return False
    return True


@given(st.from_regex(r"[a-zA-Z0-9./_-]{1,8}|[a-z./]{1,300}", fullmatch=True))
@example("a" * 63)
@example("a" * 64)
@example(f"{'a' * 253}/b")
@example(f"{'a' * 254}/b")
@example("a/b/c")
@example("/b")
@example("a/")
@example("")
@example("é")
@example("a\n")
def test_keys_are_those_that_the_api_server_takes(key: str) -> None:
    assert is_taken(key, "") == (qualified_name_problems(key) == [])


@given(st.from_regex(r"[a-zA-Z0-9._ -]{0,8}|a{60,70}", fullmatch=True))
@example("a\n")
def test_values_are_those_that_the_api_server_takes(value: str) -> None:
    taken = len(value) <= LABEL_LENGTH and re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", value)
    assert is_taken("lab", value) == bool(taken)


def test_a_name_that_an_older_crd_let_through_is_refused_in_words_and_not_by_a_pattern() -> None:
    spec = MINIMAL | {"model": {"uri": "file:///m", "secretRef": {"name": "My Keys"}}}
    assert refusal(spec) == (
        "spec.model.secretRef.name: needs the name of an object in the cluster: lower-case letters, digits, dashes and "
        "dots"
    )
