"""An adb that speaks the documented command line of `adb help` and shell protocol v2, and refuses everything else.

`devices.json` beside the program: {"<host>:<port>": {"<serial>": "device" | "offline" | "unauthorized"}}.
A command on a device runs as a process of this machine. Every call is appended to `calls.log`. Standard library alone.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

HERE = Path(sys.argv[0]).parent


def fail(message: str, code: int = 1) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)


def options(words: list[str], known: dict[str, bool], where: str) -> tuple[dict[str, str], list[str]]:
    """Options before the first plain word; `known` says which take a value. An unknown one ends the program."""
    found: dict[str, str] = {}
    while words and words[0].startswith("-"):
        name, words = words[0], words[1:]
        if name not in known:
            fail(f"{where}: unknown option {name}")
        if known[name]:
            if not words:
                fail(f"{where}: option requires an argument -- {name}")
            found[name], words = words[0], words[1:]
        else:
            found[name] = ""
    return found, words


def device(chosen: dict[str, str]) -> None:
    server = f"{chosen.get('-H', 'localhost')}:{chosen.get('-P', '5037')}"
    servers = json.loads((HERE / "devices.json").read_text())
    if server not in servers:
        fail(f"* cannot start server on remote host\nadb: cannot connect to daemon at tcp:{server}: Connection refused")
    serial = chosen.get("-s") or next(iter(servers[server]), "")
    if not serial:
        fail("adb: no devices/emulators found")
    match servers[server].get(serial):
        case None:
            fail(f"adb: device '{serial}' not found")
        case "offline":
            fail("adb: device offline")
        case "unauthorized":
            fail(
                "adb: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set\n"
                "Try 'adb kill-server' if that seems wrong.\nOtherwise check for a confirmation dialog on your device."
            )


def shell(words: list[str]) -> NoReturn:
    _, command = options(words, {"-T": False, "-t": False, "-n": False, "-x": False, "-e": True}, "adb: shell")
    if not command:
        fail("adb: no terminal for an interactive shell")
    sys.exit(subprocess.run(["/bin/sh", "-c", " ".join(command)], check=False).returncode)


def push(words: list[str]) -> NoReturn:
    _, files = options(words, {"--sync": False, "-n": False, "-Z": False, "-z": True}, "adb: push")
    if len(files) < 2:
        fail("adb: push requires <source> and <destination> arguments")
    *sources, target = files
    for source in sources:
        if not Path(source).is_file():
            fail(f"adb: error: cannot stat '{source}': No such file or directory")
        shutil.copyfile(source, target)
    print(f"{len(sources)} file pushed, 0 skipped.")
    sys.exit(0)


def main() -> NoReturn:
    with (HERE / "calls.log").open("a") as log:
        log.write(json.dumps(sys.argv[1:]) + "\n")
    takes_value = {"-H": True, "-P": True, "-s": True, "-t": True, "-L": True, "-a": False, "-d": False, "-e": False}
    chosen, words = options(sys.argv[1:], takes_value, "adb")
    match words[:1]:
        case ["shell"]:
            device(chosen)
            shell(words[1:])
        case ["push"]:
            device(chosen)
            push(words[1:])
        case _:
            fail(f"adb: unknown command {' '.join(words[:1])}")


if __name__ == "__main__":
    main()
