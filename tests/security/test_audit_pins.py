"""`make audit`: nothing found is not the same as nothing asked."""

from typing import Any

import pytest

from tools.audit_pins import CLEAN, NOT_AUDITED, VULNERABLE, verdict

WELL = {"name": "yarl", "version": "1.25.1", "vulns": []}
UNKNOWN = {"name": "attrs", "skip_reason": "Dependency not found on PyPI and could not be audited: attrs (26.1.0)"}
ILL = {"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"]}]}


@pytest.mark.parametrize(
    ("dependencies", "code", "words"),
    [
        ([WELL, WELL], CLEAN, "2 versions, no known vulnerability"),
        ([UNKNOWN, UNKNOWN], NOT_AUDITED, "NOT AUDITED: no advisories from pypi"),
        ([WELL, UNKNOWN], NOT_AUDITED, "1 of 2 versions were not audited, pypi lacks attrs"),
        ([WELL, UNKNOWN, ILL], VULNERABLE, "idna 3.6: PYSEC-2024-60 (fixed in 3.7)"),
    ],
)
def test_only_versions_that_were_asked_about_count_as_clean(dependencies: list[Any], code: int, words: str) -> None:
    found, said = verdict(dependencies, "pypi")
    assert found == code
    assert words in said
