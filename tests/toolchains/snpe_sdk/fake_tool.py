"""One fake for all tools of the SDK: refuses what the documented tool would refuse, and writes what it would write.

Installed under each tool's name; reads `tools.json`, `behaviour.json` and the recorded outputs in the fake SDK's root.
Runs on the standard library alone. Every accepted command line is appended to `calls.jsonl`.
"""

import json
import os
import shutil
import signal
import struct
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, NoReturn

TOOL = Path(sys.argv[0]).name
ROOT = Path(sys.argv[0]).resolve().parents[2]


def refuse(message: str, code: int = 2) -> NoReturn:
    print(f"{TOOL}: error: {message}", file=sys.stderr)
    raise SystemExit(code)


def parse(spec: dict[str, Any], arguments: list[str]) -> dict[str, list[str]]:
    flags = spec["flags"]
    given: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag not in flags:
            refuse(f"unrecognized arguments: {flag}")
        count = flags[flag]
        values = [value] if equals else []
        while rest and (len(values) < count if count != "*" else not rest[0].startswith("-")):
            values.append(rest.pop(0))
        if count != "*" and len(values) != count:
            refuse(f"argument {flag}: expected {count} argument(s)")
        if values and values[0] not in spec.get("choices", {}).get(flag, values):
            refuse(f"argument {flag}: invalid choice: {values[0]!r}")
        given.setdefault(flag, []).extend(values)
    return given


def check(spec: dict[str, Any], given: dict[str, list[str]]) -> None:
    missing = [flag for flag in spec["required"] if flag not in given]
    if missing:
        refuse(f"the following arguments are required: {', '.join(missing)}")
    for flag, needed in spec.get("needs", {}).items():
        if flag in given and not set(needed) <= set(given):
            refuse(f"{flag} needs {', '.join(needed)}")
    for flag, forbidden in spec.get("forbids", {}).items():
        if flag in given and set(forbidden) & set(given):
            refuse(f"{flag} does not go with {', '.join(forbidden)}")
    for group in spec.get("one_of", []):
        if not set(group) & set(given):
            refuse(f"one of {', '.join(group)} is required")


def misbehave(how: dict[str, Any]) -> None:
    for line in how.get("says", []):
        print(line, file=sys.stderr, flush=True)
    if how.get("leaves"):
        Path(how["leaves"]).write_bytes(b"half")
    if "signal" in how:
        os.kill(os.getpid(), getattr(signal, how["signal"]))
    if how.get("sleeps"):
        # a grandchild, as the SDK's wrapper scripts start them
        if os.fork() == 0:
            (ROOT / "grandchild.pid").write_text(str(os.getpid()))
        time.sleep(1000)
    if "exit" in how:
        raise SystemExit(how["exit"])


def one(given: dict[str, list[str]], *flags: str) -> str:
    return next(given[flag][0] for flag in flags if flag in given)


def existing(path: str) -> Path:
    if not Path(path).is_file():
        refuse(f"cannot open {path}", 1)
    return Path(path)


def write_dlc(path: str, **content: object) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model", json.dumps(content))
        archive.writestr("model.params", b"\0")


def convert(given: dict[str, list[str]]) -> None:
    source = existing(one(given, "--input_network", "-i"))
    overrides = given.get("--quantization_overrides", [None])[0]
    document = json.loads(existing(overrides).read_text()) if overrides else None
    if document and document["version"] != "0.6.1":
        refuse("unsupported encoding version", 1)
    write_dlc(one(given, "--output_path", "-o"), bytes=source.stat().st_size, overrides=document is not None)


def quantize(given: dict[str, list[str]]) -> None:
    existing(one(given, "--input_dlc", "-i"))
    write_dlc(one(given, "--output_dlc", "-o"), quantized=True)


def generate_context(given: dict[str, list[str]]) -> None:
    existing(one(given, "--backend"))
    existing(one(given, "--dlc_path"))
    extension = json.loads(existing(one(given, "--config_file")).read_text())["backend_extensions"]
    existing(extension["shared_library_path"])
    htp = json.loads(existing(extension["config_file_path"]).read_text())
    if htp["graphs"][0]["graph_names"] != [Path(one(given, "--dlc_path")).stem]:
        refuse("no graph of that name", 1)
    names = {52: "SA8255", 93: "QCS6490", 43: "SM8550"}
    device = htp["devices"][0]
    vtcm = htp["graphs"][0]["vtcm_mb"] << 20
    record = f"soc_type={names[device['soc_id']]};arch={device['dsp_arch'][1:]};vtcm_size={vtcm}"
    if (ROOT / "generic").exists():
        record = "a binary for no SoC"
    Path(one(given, "--output_dir"), f"{one(given, '--binary_file')}.bin").write_bytes(b"\1\2" + record.encode())


def net_run(given: dict[str, list[str]]) -> None:
    """Give the sum of all inputs as every value of every output."""
    outputs = json.loads((ROOT / "outputs.json").read_text())
    directory = Path(one(given, "--output_dir"))
    lines = [line for line in existing(one(given, "--input_list")).read_text().splitlines() if line[:1] not in "#%"]
    for number, line in enumerate(lines):
        paths = [existing(entry.rpartition(":=")[2]) for entry in line.split(" ")]
        values = [value for path in paths for (value,) in struct.iter_unpack("<f", path.read_bytes())]
        (directory / f"Result_{number}").mkdir(parents=True)
        for name, size in outputs.items():
            content = struct.pack(f"<{size}f", *[sum(values)] * size)
            (directory / f"Result_{number}" / f"{name}.raw").write_bytes(content)
    log = "SNPEDiag_0.log" if TOOL.startswith("snpe") else "qnn-profiling-data_0.log"
    (directory / log).write_bytes(b"log")


def show(name: str) -> None:
    print((ROOT / name).read_text(), end="")


def act(given: dict[str, list[str]]) -> None:
    if TOOL in ("snpe-onnx-to-dlc", "snpe-pytorch-to-dlc", "qairt-converter"):
        convert(given)
    elif TOOL in ("snpe-dlc-quant", "snpe-dlc-quantize", "qairt-quantizer", "snpe-dlc-graph-prepare"):
        quantize(given)
    elif TOOL == "qnn-context-binary-generator":
        generate_context(given)
    elif TOOL in ("snpe-net-run", "qnn-net-run"):
        net_run(given)
    elif TOOL == "snpe-diagview":
        existing(one(given, "--input_log"))
        shutil.copyfile(ROOT / "diagview.csv", one(given, "--output"))
    elif TOOL == "qnn-profile-viewer":
        existing(one(given, "--input_log"))
        show("profile_viewer.txt")
    else:
        show({"snpe-dlc-info": "dlc_info.txt", "snpe-throughput-net-run": "throughput.txt"}[TOOL])


def main() -> None:
    if not os.environ["LD_LIBRARY_PATH"].startswith(f"{ROOT}/lib/"):
        refuse("error while loading shared libraries: libSNPE.so: cannot open shared object file", 127)
    spec = json.loads((ROOT / "tools.json").read_text())[TOOL]
    given = parse(spec, sys.argv[1:])
    check(spec, given)
    with (ROOT / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps([TOOL, *sys.argv[1:]]) + "\n")
    behaviour = json.loads((ROOT / "behaviour.json").read_text()).get(TOOL, {})
    misbehave(behaviour)
    if not behaviour.get("writes_nothing"):
        act(given)


if __name__ == "__main__":
    main()
