"""Names and metadata: their syntax, as `k8s.io/apimachinery/pkg/util/validation` states it, and generated ones."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster.schema.errors import FieldError

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery util/rand: no vowels, so no words
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
_LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation "
    "is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_PART_MESSAGE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_NAMES = frozenset({"namespaces", "services"})
_PATH_NAMES = frozenset({"roles", "rolebindings", "clusterroles", "clusterrolebindings"})
LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
ANNOTATIONS_SIZE = 256 * 1024  # bytes, of all keys and values


def generate(prefix: str) -> str:
    """`prefix` and five random characters, cut so that the whole fits into a label."""
    suffix = "".join(random.choice(_ALPHABET) for _ in range(5))
    return prefix[: LABEL_LENGTH - len(suffix)] + suffix


def _label_problems(name: str) -> list[str]:
    problems = [] if len(name) <= LABEL_LENGTH else [f"must be no more than {LABEL_LENGTH} bytes"]
    return problems if _LABEL.match(name) else [*problems, _LABEL_MESSAGE]


def _subdomain_problems(name: str) -> list[str]:
    problems = [] if len(name) <= SUBDOMAIN_LENGTH else [f"must be no more than {SUBDOMAIN_LENGTH} bytes"]
    return problems if _SUBDOMAIN.match(name) else [*problems, _SUBDOMAIN_MESSAGE]


def _path_problems(name: str) -> list[str]:
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in name]


def name_problems(plural: str, name: str) -> list[str]:
    """What is wrong with an object's name; the rule depends on the resource."""
    if plural in _LABEL_NAMES:
        return _label_problems(name)
    return _path_problems(name) if plural in _PATH_NAMES else _subdomain_problems(name)


def _invalid(field: str, value: str, problem: str) -> FieldError:
    return FieldError(field, "FieldValueInvalid", f'Invalid value: "{value}": {problem}')


def qualified_name_problems(key: str) -> list[str]:
    """What is wrong with a label key, an annotation key or a finalizer (`[prefix/]name`)."""
    prefix, slash, name = key.rpartition("/")
    problems: list[str] = []
    if slash:
        problems += [f"prefix part {problem}" for problem in _subdomain_problems(prefix)]
    if not name:
        return [*problems, "name part must be non-empty"]
    if len(name) > LABEL_LENGTH:
        problems.append(f"name part must be no more than {LABEL_LENGTH} bytes")
    return problems if _QUALIFIED.match(name) else [*problems, _NAME_PART_MESSAGE]


def _label_errors(labels: Mapping[str, str]) -> list[FieldError]:
    errors = [_invalid("metadata.labels", key, text) for key in labels for text in qualified_name_problems(key)]
    for value in labels.values():
        if len(value) > LABEL_LENGTH:
            errors.append(_invalid("metadata.labels", value, f"must be no more than {LABEL_LENGTH} bytes"))
        if value and not _QUALIFIED.match(value):
            errors.append(_invalid("metadata.labels", value, _VALUE_MESSAGE))
    return errors


def _annotation_errors(annotations: Mapping[str, str]) -> list[FieldError]:
    keys = [(key, text) for key in annotations for text in qualified_name_problems(key.lower())]
    errors = [_invalid("metadata.annotations", key, text) for key, text in keys]
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > ANNOTATIONS_SIZE:
        message = f"Too long: may not be more than {ANNOTATIONS_SIZE} bytes"
        errors.append(FieldError("metadata.annotations", "FieldValueTooLong", message))
    return errors


def metadata_errors(plural: str, metadata: Mapping[str, Any]) -> list[FieldError]:
    """What `ValidateObjectMeta` finds in an object's metadata."""
    errors: list[FieldError] = []
    if not metadata.get("name"):
        message = "Required value: name or generateName is required"
        errors.append(FieldError("metadata.name", "FieldValueRequired", message))
    else:
        name = metadata["name"]
        errors += [_invalid("metadata.name", name, problem) for problem in name_problems(plural, name)]
    errors += _label_errors(metadata.get("labels") or {})
    errors += _annotation_errors(metadata.get("annotations") or {})
    for finalizer in metadata.get("finalizers") or ():
        errors += [_invalid("metadata.finalizers", finalizer, text) for text in qualified_name_problems(finalizer)]
    return errors
