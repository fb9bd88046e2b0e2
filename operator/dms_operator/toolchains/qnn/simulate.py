"""Runs a compiled model on Qualcomm's HTP simulator: the target's arithmetic, not its speed.

Samples are streamed through as many simulator processes as there are cores; only those in flight are held in memory.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from ...api.errors import ConversionFailed
from ...api.target_options.qnn import QnnOptions
from ..base import Arrays, Progress
from .arrays import load_arrays, save_arrays
from .child import CONTEXT_BINARY, CONTEXT_MODEL, Job
from .compile import soc_job
from .cores import usable_cores
from .process import ToolFailed, judge, read_until, start

Numbered = tuple[int, Arrays]
"""Index of a sample in the stream, and its arrays."""


def simulate_samples(
    compiled: Path, options: QnnOptions, samples: Sequence[Arrays], workdir: Path, progress: Progress
) -> list[Arrays]:
    """Outputs of each sample (arrays with the model's batch axis), in order; seconds per sample and core.

    Raises ConversionFailed with the simulator's own words, ConverterKilled, StoreFull.
    """
    outputs: dict[int, Arrays] = {}
    progress("simulate", 0, len(samples))
    processes = min(usable_cores(), len(samples))
    for index, output in simulate_stream(compiled, options, samples, workdir, processes=processes):
        outputs[index] = output
        progress("simulate", len(outputs), len(samples))
    return [outputs[index] for index in range(len(samples))]


def simulate_stream(
    compiled: Path, options: QnnOptions, samples: Iterable[Arrays], workdir: Path, *, processes: int | None = None
) -> Generator[Numbered, None, None]:
    """Yield (index, outputs) in the order in which samples finish; takes samples as it goes.

    Raises as `simulate_samples` does; no process outlives the iteration.
    """
    with TemporaryDirectory(prefix="simulate-", dir=workdir) as name:
        directory = Path(name)
        # the provider may write beside the model; the compiled artifact stays as it was
        for file in (CONTEXT_MODEL, CONTEXT_BINARY):
            shutil.copyfile(compiled / file, directory / file)
        job = soc_job(options, directory / CONTEXT_MODEL) | {"task": "simulate", "directory": name}
        workers = [_Worker(job, directory) for _ in range(processes or usable_cores())]
        try:
            yield from _shared_out(samples, workers)
        finally:
            for worker in workers:
                worker.close()


def _shared_out(samples: Iterable[Arrays], workers: Sequence["_Worker"]) -> Iterator[Numbered]:
    free: SimpleQueue[_Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def run(index: int, sample: Arrays) -> Numbered:
        worker = free.get()
        try:
            return index, worker.run(index, sample)
        finally:
            # a dead one too: whoever gets it fails, instead of waiting for one that never comes
            free.put(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        pending: set[Future[Numbered]] = set()
        try:
            for index, sample in enumerate(samples):
                pending.add(pool.submit(run, index, sample))
                if len(pending) > len(workers):
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            # a thread waits for its worker's answer: the worker's end wakes it
            for future in pending:
                future.cancel()
            for worker in workers:
                worker.stop()


class _Worker:
    """One simulator process, which answers sample after sample."""

    def __init__(self, job: Job, directory: Path) -> None:
        self._directory = directory
        self._lines: list[str] = []
        self._process = start(job, directory, subprocess.PIPE)

    def run(self, index: int, sample: Arrays) -> Arrays:
        """Outputs of one sample."""
        source, target = (self._directory / f"{index}.{end}.npz" for end in ("in", "out"))
        save_arrays(source, sample)
        self._ask(index)
        outputs = load_arrays(target)
        source.unlink()
        target.unlink()
        return outputs

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and give its pipes back."""
        self.stop()
        # a line that the dead child never read is lost with it
        with contextlib.suppress(BrokenPipeError), self._process:
            pass

    def _ask(self, index: int) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{index}\n")
            self._process.stdin.flush()
            answered = read_until(self._process, self._lines, f"@done {index}")
        except BrokenPipeError:
            answered = read_until(self._process, self._lines, None)
        if not answered:
            self._fail()

    def _fail(self) -> None:
        try:
            judge("simulate", self._process.wait(), self._lines)
        except ToolFailed as failure:
            raise ConversionFailed(f"the HTP simulator failed; {failure.why()}") from failure
        raise ConversionFailed("the HTP simulator ended before it had answered")
