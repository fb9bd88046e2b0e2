"""Broken JSON is explained in the words of Go's parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.devcluster.server.go_json import problem


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{not json", "invalid character 'n' looking for beginning of object key string"),
        (b"\x9e\x89", "invalid character '\\u009e' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"1 2", "invalid character '2' after top-level value"),
        (b'{"a":', "unexpected end of JSON input"),
    ],
)
def test_the_words_are_those_of_go(raw: bytes, expected: str) -> None:
    assert problem(raw) == expected


@given(st.binary())
def test_anything_can_be_explained(raw: bytes) -> None:
    assert problem(raw)
