"""Log lines carry the same keys everywhere."""

import json
import logging
import sys

from dms_operator.api.log_lines import formatter, lines_are_about


def _line(style: str, message: str = "done", **extra: str) -> str:
    record = logging.makeLogRecord({"name": "dms", "levelname": "INFO", "msg": message, **extra})
    return formatter(style).format(record)


def test_a_json_line_says_what_it_is_about() -> None:
    lines_are_about(deployment="cars/driver")
    found = json.loads(_line("json", stage="convert", revision="4ccdf50dc437"))
    assert {key: found[key] for key in ("deployment", "stage", "revision", "message", "level")} == {
        "deployment": "cars/driver",
        "stage": "convert",
        "revision": "4ccdf50dc437",
        "message": "done",
        "level": "info",
    }


def test_a_lines_own_keys_go_before_those_of_its_task() -> None:
    lines_are_about(deployment="cars/one")
    assert json.loads(_line("json", deployment="cars/other"))["deployment"] == "cars/other"


def test_a_plain_line_begins_with_the_deployment() -> None:
    lines_are_about(deployment="cars/driver")
    assert _line("plain").endswith("dms: cars/driver: done")
    lines_are_about()
    assert _line("plain").endswith("dms: done")


def test_a_traceback_stays_on_one_json_line() -> None:
    try:
        raise ValueError("no\nway")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "levelname": "ERROR", "exc_info": sys.exc_info()})
    line = formatter("json").format(record)
    assert "\n" not in line and "ValueError: no" in json.loads(line)["exception"]
