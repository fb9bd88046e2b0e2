"""Which extra of this project installs a library that a command lacks: each pod and person installs what it needs."""

import re
import sys
from collections.abc import Callable
from importlib.metadata import requires

DISTRIBUTION = "dms-operator"
_REQUIREMENT = re.compile(r"([\w.-]+).*; *.*extra == [\"']([\w-]+)[\"']")


def run(command: Callable[[], None]) -> None:
    """Run a command; a library of an extra that is not installed ends it in one line, with exit code 1."""
    try:
        command()
    except ModuleNotFoundError as error:
        extras = extras_with(error.name or "")
        if not extras:
            raise
        install = " or ".join(f"pip install '{DISTRIBUTION}[{extra}]'" for extra in extras)
        print(f"this command needs {error.name}, which is not installed: {install}", file=sys.stderr)
        sys.exit(1)


def extras_with(module: str) -> list[str]:
    """Extras that install a module, by the names of their distributions; `dev` installs all and is left out."""
    wanted = module.partition(".")[0].replace("_", "-").lower()
    found = filter(None, map(_REQUIREMENT.fullmatch, requires(DISTRIBUTION) or []))
    return [each[2] for each in found if each[1].lower() == wanted and each[2] != "dev"]
