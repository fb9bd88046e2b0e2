"""What Go's JSON parser says about a broken document; clients show it to their users."""

from __future__ import annotations

import json

_WORDS = {  # encoding/json scanner states, by the words of Python's parser
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Extra data": "after top-level value",
}


def problem(raw: bytes) -> str:
    """Why this is no JSON, in Go's words where they are known."""
    text = raw.decode("latin-1")  # Go looks at bytes
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text):
            return "unexpected end of JSON input"
        if error.msg in _WORDS:
            return f"invalid character {_quoted(text[error.pos])} {_WORDS[error.msg]}"
        return str(error)
    return "it is not JSON as the server reads it"


def _quoted(character: str) -> str:
    """A character as Go's strconv quotes it in single quotes."""
    if character in "'\\":
        return f"'\\{character}'"
    if character.isprintable():
        return f"'{character}'"
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    code = ord(character)
    return f"'{short.get(character, chr(92) + (f'x{code:02x}' if code < 128 else f'u{code:04x}'))}'"
