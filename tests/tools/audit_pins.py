"""Asks for known vulnerabilities of every pinned version, by pip-audit, and takes no silence for a clean answer.

pip-audit skips a version that its service does not know, prints that nothing was found, and exits with 0. An index that
serves packages alone knows none at all: then nothing was audited, and that is what has to be said.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[2] / "constraints.txt"
TIMEOUT_SECONDS = 10
"""For one request."""
PROBED = 3
NAMED = 5
"""Versions that a message names."""
CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 2


class Unanswered(Exception):
    """The service gave no answer at all."""


def verdict(dependencies: Sequence[Mapping[str, Any]], service: str) -> tuple[int, str]:
    """Exit code and words for pip-audit's report of all versions."""
    unknown = [each["name"] for each in dependencies if "skip_reason" in each]
    found = [each for each in dependencies if each.get("vulns")]
    if found:
        lines = [f"{each['name']} {each['version']}: {_advisories(each)}" for each in found]
        return VULNERABLE, "\n".join(
            [*lines, f"{len(found)} of {len(dependencies)} versions have known vulnerabilities"]
        )
    if len(unknown) == len(dependencies):
        return NOT_AUDITED, not_audited(service, "it knows none of the versions")
    if unknown:
        named = ", ".join(unknown[:NAMED]) + (", …" if len(unknown) > NAMED else "")
        return NOT_AUDITED, f"{len(unknown)} of {len(dependencies)} versions were not audited, {service} lacks {named}"
    return CLEAN, f"{len(dependencies)} versions, no known vulnerability"


def not_audited(service: str, why: str) -> str:
    """What to do where there is nobody to ask."""
    return (
        f"NOT AUDITED: no advisories from {service} ({why}). Run it where the Python package index's JSON API answers, "
        "or name another service: make audit ADVISORIES=osv (or esms)"
    )


def _advisories(dependency: Mapping[str, Any]) -> str:
    return ", ".join(f"{one['id']} (fixed in {', '.join(one['fix_versions']) or '-'})" for one in dependency["vulns"])


def report(pins: Path, service: str) -> list[dict[str, Any]]:
    """What pip-audit says of a file of pins. Raises Unanswered."""
    command = [str(Path(sys.executable).with_name("pip-audit")), "--format=json", f"--vulnerability-service={service}"]
    command += [f"--timeout={TIMEOUT_SECONDS}", "--progress-spinner=off", "--no-deps", "--disable-pip", f"-r={pins}"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError as error:
        raise Unanswered((done.stderr.strip().splitlines() or ["it printed nothing"])[-1][:200]) from error
    return found


def main(service: str) -> int:
    """Ask about a few versions first: where none of them gets an answer, the others get none either."""
    lines = [line for line in PINS.read_text().splitlines() if "==" in line]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as few:
        few.write("\n".join(lines[:PROBED]))
        few.flush()
        try:
            probed = report(Path(few.name), service)
            code, words = verdict(probed, service)
            if not all("skip_reason" in each for each in probed):
                code, words = verdict(report(PINS, service), service)
        except Unanswered as error:
            code, words = NOT_AUDITED, not_audited(service, str(error))
    print(words, file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
