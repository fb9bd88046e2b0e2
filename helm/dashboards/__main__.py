"""`python -m dashboards DIRECTORY` writes every dashboard as `<uid>.json`."""

import sys
from pathlib import Path

from .boards import boards
from .deployment import deployment
from .fleet import fleet
from .operator_health import operator_health
from .page import to_json

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for make in (fleet, deployment, boards, operator_health):
        page = make()
        (directory / f"{page.build().uid}.json").write_text(to_json(page))
