"""Batching across requests: requests that arrive at the same time are answered together.

texts of a request → bounded queue → a batch, once it is full or has waited → one call → rows of each request
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Entry = tuple[list, asyncio.Future]  # the texts of a request, and its rows


class QueueFull(Exception):
    """The queue has no space for the texts of a request."""


class Abandoned(Exception):
    """No client waits for these rows any longer."""


class Batcher:
    """Answer the texts of many requests in batches, in its own threads.

    The next batch gathers while all threads are busy, so `wait` matters only when there is little to do.

    Args:
        answer: returns a row for each of a list of texts. It calls its second argument now and then, which raises
            `Abandoned` once no client waits for the rows.
        size: texts per batch; a larger request is a batch of its own.
        wait: seconds that the first text of a batch waits for others.
        queue_size: maximum number of texts in the queue.
        workers: batches that are answered at the same time.
        on_batch: called with the size of each batch.
    """

    def __init__(
        self,
        answer: Callable[[list, Callable[[], None]], list],
        size: int = 32,
        wait: float = 0.002,
        queue_size: int = 1024,
        workers: int = 1,
        on_batch: Callable[[int], Any] = lambda size: None,
    ):
        self.answer = answer
        self.size = size
        self.wait = wait
        self.queue_size = queue_size
        self.on_batch = on_batch
        self.waiting = 0  # texts in the queue
        self._queue: asyncio.Queue[Entry | None] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="batcher")
        self._free = asyncio.Semaphore(workers)
        self._task: asyncio.Task | None = None
        self._batches: set[asyncio.Task] = set()

    def start(self) -> None:
        """Start answering, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Answer everything in the queue, then stop."""
        if self._task is not None:
            await self._queue.put(None)
            await self._task
            self._task = None
        self._threads.shutdown()

    async def __call__(self, texts: list) -> list:
        """Return a row for each text, in the same order.

        Raises:
            QueueFull: The queue has no space for the texts.
        """
        if self.waiting + len(texts) > self.queue_size:
            raise QueueFull(f"{self.waiting:,} texts are already waiting; try again later")
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
            self._batches.add(task)  # the event loop keeps only a weak reference
            task.add_done_callback(self._batches.discard)
            task.add_done_callback(lambda _: self._free.release())
        await asyncio.gather(*self._batches)

    async def _next_batch(self) -> tuple[list[Entry], bool]:
        """Return the requests of a batch, and whether it is the last one."""
        loop = asyncio.get_running_loop()
        batch: list[Entry] = []
        size = 0
        entry = await self._queue.get()
        until = loop.time() + self.wait
        while entry is not None:
            batch.append(entry)
            size += len(entry[0])
            if size >= self.size:
                return batch, False
            try:
                async with asyncio.timeout_at(until if self._queue.empty() else None):
                    entry = await self._queue.get()
            except TimeoutError:
                return batch, False
        return batch, True

    async def _answer_batch(self, batch: list[Entry]) -> None:
        self.waiting -= sum(len(texts) for texts, _ in batch)
        size = sum(len(texts) for texts, rows in batch if not rows.done())
        if size:
            self.on_batch(size)
            await self._answer(batch)

    async def _answer(self, batch: list[Entry]) -> None:
        """Answer requests together; if that fails, each alone, so that only the one that causes the error fails."""
        wanted = [(texts, rows) for texts, rows in batch if not rows.done()]  # a client may have disconnected
        texts = [text for entry, _ in wanted for text in entry]
        if not texts:
            return

        def check() -> None:
            if all(rows.done() for _, rows in wanted):
                raise Abandoned

        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._threads, self.answer, texts, check)
        except Exception as err:
            if len(wanted) > 1:
                for request in wanted:
                    await self._answer([request])
            elif not wanted[0][1].done():
                wanted[0][1].set_exception(err)
            return
        start = 0
        for entry, rows in wanted:
            if not rows.done():
                rows.set_result(answers[start : start + len(entry)])
            start += len(entry)
