"""The tables of docs/qualcomm.md, from the data that the code uses: `python -m dms_operator.toolchains.qnn.tables`."""

from collections.abc import Iterable, Mapping, Sequence

from ...api.target_options.qnn import OPTIONS, Option
from ...api.target_options.qnn_socs import SOCS, Soc, boards_of
from ...api.target_options.snpe_sdk import OPTIONS as SDK_OPTIONS

BEGIN, END = "<!-- {} begin -->", "<!-- {} end -->"


def tables() -> dict[str, str]:
    """Markdown by the name of the place that it fills."""
    return {"boards": board_table(SOCS.values()), "qnn options": option_table(OPTIONS), "snpe-sdk options": _own()}


def board_table(socs: Iterable[Soc]) -> str:
    """One row per SoC, those with boards first."""
    rows = [_soc_row(soc) for soc in sorted(socs, key=lambda soc: not boards_of(soc))]
    return _table(("board types", "SoC", "QNN id", "Hexagon", "VTCM", "fp16"), rows)


def option_table(options: Mapping[str, Option]) -> str:
    """One row per option."""
    rows = [(f"`{key}`", option.default, option.takes, option.meaning) for key, option in options.items()]
    return _table(("option", "default", "values", "what it decides"), rows)


def _own() -> str:
    return option_table({key: option for key, option in SDK_OPTIONS.items() if key not in OPTIONS})


def _soc_row(soc: Soc) -> Sequence[str]:
    boards = ", ".join(f"`{board}`" for board in boards_of(soc)) or "(by option `soc` or not yet a board)"
    return (
        boards,
        soc.name,
        str(soc.model),
        f"v{soc.architecture}",
        f"{soc.vtcm_mb} MiB",
        "yes" if soc.fp16 else "no",
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for name, table in tables().items():
        print(f"{BEGIN.format(name)}\n{table}\n{END.format(name)}\n")
