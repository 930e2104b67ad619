"""Requests that come at the same time are answered together.

texts of a request → a bounded queue → a batch, once it is full or has waited → one call → rows of each request
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

Entry = tuple[list, asyncio.Future]  # texts of a request, and where their rows go


class QueueFull(Exception):
    """So many texts wait already that a further one would wait too long."""


class Abandoned(Exception):
    """Nobody waits for these rows any longer."""


class Batcher:
    """Answer the texts of many requests in batches, in threads of its own.

    While all threads are busy, the next batch gathers, so that `wait` only counts where there is little to do.

    Args:
        answer: of a list of texts, an array with a row for each. Its second argument is to be called now and then: it
            raises `Abandoned` once nobody waits for the rows.
        most: texts of a batch; a request of more is a batch by itself.
        wait: seconds that the first text of a batch waits for others.
        room: queue length, in texts.
        workers: batches that are answered side by side.
    """

    def __init__(
        self,
        answer: Callable[[list, Callable[[], None]], np.ndarray],
        most: int = 32,
        wait: float = 0.002,
        room: int = 1024,
        workers: int = 1,
    ):
        self.answer, self.most, self.wait, self.room = answer, most, wait, room
        self.waiting = 0  # texts in the queue
        self.on_batch: Callable[[int], Any] = lambda size: None  # called with the size of each batch
        self._queue: asyncio.Queue[Entry | None] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="batcher")
        self._free = asyncio.Semaphore(workers)
        self._task: asyncio.Task | None = None
        self._batches: set[asyncio.Task] = set()

    def start(self) -> None:
        """Begin to answer, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Answer what waits, then end."""
        if self._task is not None:
            await self._queue.put(None)
            await self._task
            self._task = None
        self._threads.shutdown()

    async def __call__(self, texts: list) -> np.ndarray:
        """The rows of the texts, in their order.

        Raises:
            QueueFull: there is no room for them.
        """
        if self.waiting + len(texts) > self.room:
            raise QueueFull(f"{self.waiting:,} texts wait already; try again later")
        rows = asyncio.get_running_loop().create_future()
        self.waiting += len(texts)
        self._queue.put_nowait((texts, rows))
        return await rows

    async def _run(self) -> None:
        end = False
        while not end:
            await self._free.acquire()
            batch, end = await self._next_batch()
            task = asyncio.create_task(self._answer_batch(batch))
            self._batches.add(task)  # the event loop itself keeps no hold of it
            task.add_done_callback(self._batches.discard)
            task.add_done_callback(lambda _: self._free.release())
        await asyncio.gather(*self._batches)

    async def _next_batch(self) -> tuple[list[Entry], bool]:
        """Requests that go together, and whether they are the last."""
        batch, size = [], 0
        entry = await self._queue.get()
        until = asyncio.get_running_loop().time() + self.wait
        while entry is not None:
            batch.append(entry)
            size += len(entry[0])
            if size >= self.most:
                return batch, False
            try:
                entry = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                left = until - asyncio.get_running_loop().time()
                if left <= 0:
                    return batch, False
                try:
                    entry = await asyncio.wait_for(self._queue.get(), left)
                except TimeoutError:
                    return batch, False
        return batch, True

    async def _answer_batch(self, batch: list[Entry]) -> None:
        self.waiting -= sum(len(texts) for texts, _ in batch)
        wanted = [(texts, rows) for texts, rows in batch if not rows.done()]  # a client may have gone away
        texts = [text for entry, _ in wanted for text in entry]
        if not texts:
            return

        def check() -> None:
            if all(rows.done() for _, rows in wanted):
                raise Abandoned

        self.on_batch(len(texts))
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._threads, self.answer, texts, check)
        except Exception as err:
            for _, rows in wanted:
                if not rows.done():
                    rows.set_exception(err)
            return
        at = 0
        for entry, rows in wanted:
            if not rows.done():
                rows.set_result(answers[at : at + len(entry)])
            at += len(entry)
