"""Requests that come at the same time are answered together.

texts of a request → a bounded queue → a batch, once it is full or has waited → one call → answers of each request
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np


class QueueFull(Exception):
    """So many texts wait already that a further one would wait too long."""


class Batcher:
    """PredictionResponse texts of many requests in batches, in threads of its own.

    While all threads answer, the next batch gathers, so that `wait` only counts where there is little to do.

    Args:
        answer: of a list of texts, an array with a row for each.
        most: texts of a batch; a request of more is a batch by itself.
        wait: seconds that the first text of a batch waits for others.
        room: texts that may wait at a time.
        workers: batches that are answered side by side.
    """

    def __init__(
        self,
        answer: Callable[[list], np.ndarray],
        most: int = 32,
        wait: float = 0.002,
        room: int = 1024,
        workers: int = 1,
    ):
        self.answer, self.most, self.wait, self.room = answer, most, wait, room
        self.waiting = 0  # texts in the queue
        self.sizes: Callable[[int], Any] = lambda size: None  # told of each batch's size
        self._queue: asyncio.Queue = asyncio.Queue()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="batcher")
        self._free = asyncio.Semaphore(workers)
        self._task: asyncio.Task | None = None
        self._answering: set[asyncio.Task] = set()

    def start(self) -> None:
        """Begin to answer, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Prediction what waits, then end."""
        if self._task is not None:
            await self._queue.put(None)
            await self._task
            self._task = None
        self._threads.shutdown()

    async def __call__(self, texts: list) -> np.ndarray:
        """The answers of the texts, in their order.

        Raises:
            QueueFull: there is no room for them.
        """
        if self.waiting + len(texts) > self.room:
            raise QueueFull(f"{self.waiting:,} texts wait already")
        done = asyncio.get_running_loop().create_future()
        self.waiting += len(texts)
        self._queue.put_nowait((texts, done))
        return await done

    async def _run(self) -> None:
        end = False
        while not end:
            await self._free.acquire()
            batch, end = await self._gathered()
            task = asyncio.create_task(self._answered(batch))
            self._answering.add(task)  # the event loop itself keeps no hold of it
            task.add_done_callback(self._answering.discard)
            task.add_done_callback(lambda _: self._free.release())
        await asyncio.gather(*self._answering)

    async def _gathered(self) -> tuple[list[tuple[list, asyncio.Future]], bool]:
        """Requests that go together, and whether they are the last."""
        batch, size = [], 0
        first = await self._queue.get()
        until = asyncio.get_running_loop().time() + self.wait
        while first is not None:
            batch.append(first)
            size += len(first[0])
            if size >= self.most:
                return batch, False
            try:
                first = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                left = until - asyncio.get_running_loop().time()
                if left <= 0:
                    return batch, False
                try:
                    first = await asyncio.wait_for(self._queue.get(), left)
                except TimeoutError:
                    return batch, False
        return batch, True

    async def _answered(self, batch: list[tuple[list, asyncio.Future]]) -> None:
        wanted = [(texts, done) for texts, done in batch if not done.cancelled()]  # a client may have gone away
        self.waiting -= sum(len(texts) for texts, _ in batch)
        texts = [text for given, _ in wanted for text in given]
        if not texts:
            return
        self.sizes(len(texts))
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, self.answer, texts)
        except Exception as err:
            for _, done in wanted:
                if not done.done():
                    done.set_exception(err)
            return
        at = 0
        for given, done in wanted:
            if not done.done():
                done.set_result(found[at : at + len(given)])
            at += len(given)
