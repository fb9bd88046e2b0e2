"""Jobs and their answers as one zip file each: JSON, files, and arrays without pickles."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...toolchains.base import Arrays
from ...toolchains.loading import Loading
from ..latency import Profile, Timing
from ..passes import Pass, Timed
from ..power.figures import Sample
from ..power.record import PowerRecord
from ..throttling import ClockState
from .job import BoardInputs, BoardJob, BoardRun, CameraJob, CpuJob

_JSON = "document.json"


class Archive:
    """A zip file that is written once: a JSON document, files, and arrays that the document names."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._arrays = 0

    def file(self, name: str, path: Path) -> None:
        """Add a file."""
        self._zip.write(path, name)

    def array(self, value: NDArray[Any]) -> str:
        """Add an array; gives the name that finds it again."""
        name, buffer = f"arrays/{self._arrays}.npy", io.BytesIO()
        self._arrays += 1
        np.save(buffer, value, allow_pickle=False)
        self._zip.writestr(name, buffer.getvalue())
        return name

    def samples(self, samples: Sequence[Arrays]) -> list[dict[str, str]]:
        """Add samples; gives the names of their arrays."""
        return [{name: self.array(np.asarray(value)) for name, value in sample.items()} for sample in samples]

    def close(self, document: Mapping[str, Any]) -> None:
        """Add the document, and end."""
        self._zip.writestr(_JSON, json.dumps(document))
        self._zip.close()


class Opened:
    """A zip file that is read. Raises KeyError, ValueError, zipfile.BadZipFile for one that is not ours."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self.document: dict[str, Any] = json.loads(self._zip.read(_JSON))

    def array(self, name: str) -> NDArray[Any]:
        """An array by its name."""
        value: NDArray[Any] = np.load(io.BytesIO(self._zip.read(name)), allow_pickle=False)
        return value

    def samples(self, samples: list[dict[str, str]]) -> list[Arrays]:
        """Samples by the names of their arrays."""
        return [{name: self.array(stored) for name, stored in sample.items()} for sample in samples]

    def extract(self, prefix: str, into: Path) -> dict[str, Path]:
        """Write the files below a prefix, by name without it; a name that leads elsewhere is refused."""
        into.mkdir(parents=True, exist_ok=True)
        found = {}
        for entry in self._zip.namelist():
            name = entry.removeprefix(prefix)
            if entry.startswith(prefix) and name:
                if Path(name).name != name:
                    raise ValueError(f"{name!r} is no plain file name")
                found[name] = into / name
                found[name].write_bytes(self._zip.read(entry))
        return found


def pack_job(job: BoardJob, inputs: BoardInputs, path: Path) -> None:
    """Write a job and all that it works on."""
    archive = Archive(path)
    for file in sorted(inputs.compiled.iterdir()):
        archive.file(f"compiled/{file.name}", file)
    for name in job.cpu:
        archive.file(f"models/{name}", inputs.models[name])
    archive.close(
        {
            "job": asdict(job),
            "rotation": archive.samples(inputs.rotation),
            "samples": archive.samples(inputs.samples),
            "answer": archive.array(inputs.answer),
        }
    )


def unpack_job(path: Path, into: Path) -> tuple[BoardJob, BoardInputs]:
    """Read a job; its files go into a directory."""
    opened = Opened(path)
    job, document = opened.document["job"], opened.document
    cpu = {name: CpuJob(**{**each, "profile": Profile(**each["profile"])}) for name, each in job["cpu"].items()}
    asked = BoardJob(
        loading=Loading(**job["loading"]),
        profile=Profile(**job["profile"]),
        warmup=job["warmup"],
        wanted=job["wanted"],
        camera=CameraJob(**job["camera"]) if job["camera"] else None,
        cpu=cpu,
    )
    opened.extract("compiled/", into / "compiled")
    inputs = BoardInputs(
        compiled=into / "compiled",
        models=opened.extract("models/", into / "models"),
        rotation=opened.samples(document["rotation"]),
        samples=opened.samples(document["samples"]),
        answer=opened.array(document["answer"]),
    )
    return asked, inputs


def pack_run(run: BoardRun, path: Path) -> None:
    """Write what a board found out."""
    archive = Archive(path)

    def passes(each: Sequence[Pass]) -> list[dict[str, Any]]:
        return [_pass_document(one, archive) for one in each]

    def timed(one: Timed) -> dict[str, Any]:
        return {"load_seconds": one.load_seconds, "passes": passes(one.passes)}

    archive.close(
        {
            "version": run.version,
            "environment": dict(run.environment),
            "target": timed(run.target),
            "power": asdict(run.power),
            "peak_bytes": run.peak_bytes,
            "camera": None if run.camera is None else passes(run.camera),
            "cpu": {name: timed(each) for name, each in run.cpu.items()},
            "outputs": archive.samples(run.outputs),
        }
    )


def unpack_run(path: Path) -> BoardRun:
    """Read what a board found out. Raises KeyError, TypeError, ValueError, zipfile.BadZipFile."""
    opened = Opened(path)
    document = opened.document

    def passes(each: list[dict[str, Any]]) -> list[Pass]:
        return [_pass(one, opened) for one in each]

    def timed(one: dict[str, Any]) -> Timed:
        return Timed(float(one["load_seconds"]), passes(one["passes"]))

    power = document["power"]
    began, ended = power["idle"]
    samples = [Sample(**sample) for sample in power["samples"]]
    return BoardRun(
        version=str(document["version"]),
        environment=dict(document["environment"]),
        target=timed(document["target"]),
        power=PowerRecord(power["source"], power["unavailable"], (float(began), float(ended)), samples),
        peak_bytes=document["peak_bytes"],
        camera=None if document["camera"] is None else passes(document["camera"]),
        cpu={name: timed(each) for name, each in document["cpu"].items()},
        outputs=opened.samples(document["outputs"]),
    )


def _pass_document(one: Pass, archive: Archive) -> dict[str, Any]:
    timing = {**vars(one.timing), "nanoseconds": archive.array(one.timing.nanoseconds)}
    return {"timing": timing, "before": vars(one.before), "after": vars(one.after)}


def _pass(document: dict[str, Any], opened: Opened) -> Pass:
    timing = document["timing"]
    nanoseconds = opened.array(timing["nanoseconds"]).astype(np.int64, casting="safe")
    return Pass(
        Timing(**{**timing, "nanoseconds": nanoseconds}),
        ClockState(**document["before"]),
        ClockState(**document["after"]),
    )
