"""Engines that schedule partitions: processes of this machine, or actors of Ray.

An engine takes the work, the partitions and a number of workers, and gives the outcome of each partition as it comes.
What a partition is, how it is predicted and written, is none of its business.
"""

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

from kickbert.inference.partitions import MOST_DEATHS, Outcome, Partition, Work, predict_partition
from kickbert.utils.extras import require
from kickbert.utils.hardware import cores
from kickbert.utils.messages import nearest

Engine = Callable[[Work, Sequence[Partition], int | None], Iterator[Outcome]]


def choose_engine(name: str) -> Engine:
    """The engine of a name.

    Raises:
        ValueError: no such engine.
        ImportError: its package is not installed.
    """
    if name not in ENGINES:
        raise ValueError(f"engine={name!r} is not one of {list(ENGINES)}{nearest(name, ENGINES)}")
    if name != "local":
        require(name, extra=name)
    return ENGINES[name]


def _shared_out(work: Work, parts: Sequence[Partition], workers: int | None, cpus: int) -> tuple[Work, int]:
    """The work with the threads of each worker, and how many workers there are: one a core, at most one a partition."""
    workers = min(workers or cpus, len(parts))
    folder, identity, backend, _, functions = work.opening
    return replace(work, opening=(folder, identity, backend, max(1, cpus // workers), functions)), workers


def _threads(work: Work) -> int:
    return work.opening[3]


def _path() -> str:
    """Where this process imports from, for those that it starts."""
    return os.pathsep.join(filter(None, sys.path))


def local(work: Work, parts: Sequence[Partition], workers: int | None) -> Iterator[Outcome]:
    """Processes of this machine; one that dies is started again.

    Raises:
        ValueError: the model has a cleaning function that other processes cannot import.
    """
    for function in work.opening[-1]:
        if function.__module__ == "__main__" or "<" in function.__qualname__:
            raise ValueError(
                f"other processes cannot import the cleaning function {function.__qualname__!r}; move it to a module"
            )
    work, workers = _shared_out(work, parts, workers, cores())
    processes = [_Process(work) for _ in range(workers)]
    idle: SimpleQueue[_Process] = SimpleQueue()
    for process in processes:
        idle.put(process)

    def predict(part: Partition) -> Outcome:
        process = idle.get()
        try:
            return process.predict(part)
        finally:
            idle.put(process)

    with ThreadPoolExecutor(workers) as threads:
        try:
            for outcome in as_completed([threads.submit(predict, part) for part in parts]):
                yield outcome.result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.close()


class _Process:
    """A Python that predicts partitions one by one.

    Not of `multiprocessing`, which runs a user's script once more in each process unless it has a guard.
    """

    def __init__(self, work: Work):
        self.work, self.process, self.closed, self.lock = work, None, False, threading.Lock()

    def predict(self, part: Partition) -> Outcome:
        for _ in range(MOST_DEATHS + 2):  # `predict_partition` gives up before, once it is reached
            try:
                process = self._running()
                pickle.dump(part, process.stdin)
                process.stdin.flush()
                return pickle.load(process.stdout)
            except (EOFError, OSError, pickle.UnpicklingError):
                self._stop()
        return Outcome(part, RuntimeError(f"{sys.executable} ends whenever it is started for kickbert.inference"))

    def _running(self) -> subprocess.Popen:
        with self.lock:
            if self.closed:
                raise RuntimeError("the engine is closed")
            if self.process is None:
                threads = str(_threads(self.work))
                code = "from kickbert.inference.engines import serve; serve()"
                self.process = subprocess.Popen(
                    [sys.executable, "-W", "ignore", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    env=os.environ | {"OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads,
                                      "PYTHONPATH": _path()},
                )  # fmt: skip
                pickle.dump(self.work, self.process.stdin)
            return self.process

    def _stop(self) -> None:
        with self.lock:
            process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what was not yet sent
                    pipe.close()

    def close(self) -> None:
        self.closed = True
        self._stop()


def serve() -> None:
    """Predict partitions that come on standard input, until it ends: what a process of the engine "local" runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the first ends the rest
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    parts: SimpleQueue[Partition] = SimpleQueue()
    work = pickle.load(sys.stdin.buffer)

    def read() -> None:
        try:
            while True:
                parts.put(pickle.load(sys.stdin.buffer))
        except (EOFError, pickle.UnpicklingError):
            os._exit(0)  # in the middle of a partition too: whoever asked is gone

    threading.Thread(target=read, daemon=True).start()
    while True:
        pickle.dump(predict_partition(work, parts.get()), answers)
        answers.flush()


def ray(work: Work, parts: Sequence[Partition], workers: int | None) -> Iterator[Outcome]:
    """Actors of Ray Data, in the cluster that this process or RAY_ADDRESS is connected to, or else on this machine.

    Ray starts an actor that died again, and gives it the partition that it had.
    """
    with _cluster() as cpus:
        from ray.data import ActorPoolStrategy, from_items

        work, workers = _shared_out(work, parts, workers, cpus)
        pickled = [{"partition": pickle.dumps(part)} for part in parts]
        outcomes = from_items(pickled, override_num_blocks=len(parts)).map_batches(
            _Actor,
            fn_constructor_args=(work,),
            batch_size=1,
            compute=ActorPoolStrategy(size=workers),
            num_cpus=min(1.0, cpus / workers) / 2,  # where actors take all, what else Ray runs waits for ever
        )
        for batch in outcomes.iter_batches(batch_size=None, prefetch_batches=0):
            for outcome in batch["outcome"]:
                yield pickle.loads(outcome)


class _Actor:
    """An actor of Ray Data: partitions in, outcomes out."""

    def __init__(self, work: Work):
        self.work = work

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"outcome": [pickle.dumps(predict_partition(self.work, pickle.loads(p))) for p in batch["partition"]]}


@contextmanager
def _cluster() -> Iterator[int]:
    """A connection to Ray, the one that there is or a new one; its number of CPUs."""
    import ray
    from ray.data import DataContext

    own = not ray.is_initialized()
    if own:
        here = {"num_cpus": cores(), "include_dashboard": False, "runtime_env": {"env_vars": {"PYTHONPATH": _path()}}}
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it calls an actor that can be restarted an error
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **({} if os.environ.get("RAY_ADDRESS") else here))
    context = DataContext.get_current()
    shown, context.enable_progress_bars = context.enable_progress_bars, False
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield int(ray.cluster_resources().get("CPU", 1))
    finally:
        context.enable_progress_bars = shown
        logger.setLevel(level)
        if own:
            ray.shutdown()


ENGINES: dict[str, Engine] = {"local": local, "ray": ray}
