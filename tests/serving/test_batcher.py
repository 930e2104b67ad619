"""Batches gather, split and are bounded, and abandoned work ends."""

import asyncio
import threading

import numpy as np
import pytest

from kickbert.serving.batcher import Abandoned, Batcher, QueueFull


def run(main) -> None:
    asyncio.run(asyncio.wait_for(main(), 30))


def test_batches_gather_and_the_queue_is_bounded():
    sizes, gate = [], threading.Event()

    def answer(texts, check):
        gate.wait(5)
        sizes.append(len(texts))
        return np.array([float(t) for t in texts])

    async def main():
        batcher = Batcher(answer, size=8, wait=0.01, queue_size=20)
        batcher.start()
        first = asyncio.create_task(batcher(["0"]))
        await asyncio.sleep(0.05)  # it is in progress
        others = [asyncio.create_task(batcher([str(i), str(i)])) for i in range(1, 11)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull, match="20 texts are already waiting"):
            await batcher(["1", "2", "3"])
        others[-1].cancel()
        gate.set()
        assert (await first).tolist() == [0]
        assert [(await one).tolist() for one in others[:-1]] == [[i, i] for i in range(1, 10)]
        await batcher.stop()

    run(main)
    assert sizes[0] == 1 and sum(sizes) == 19 and max(sizes) == 8


def test_abandoned_texts_are_not_answered():
    begun, ended = threading.Event(), []

    def answer(texts, check):
        begun.set()
        try:
            for _ in range(500):
                check()
                threading.Event().wait(0.01)
        except Abandoned as err:
            ended.append(type(err))
            raise
        return np.array(texts)

    async def main():
        batcher = Batcher(answer, size=2)
        batcher.start()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(batcher([i, i]) for i in range(10))), 0.1)
        await batcher.stop()  # at once: the batch in progress ends, the nine others do not start
        assert batcher.waiting == 0

    run(main)
    assert begun.is_set() and ended == [Abandoned]


def test_an_error_of_the_model_reaches_the_caller():
    def answer(texts, check):
        raise RuntimeError("no")

    async def main():
        batcher = Batcher(answer)
        batcher.start()
        with pytest.raises(RuntimeError, match="no"):
            await batcher(["a"])
        await batcher.stop()

    run(main)


def test_a_request_that_fails_fails_alone():
    gate = threading.Event()

    def answer(texts, check):
        gate.wait(5)
        if "bad" in texts:
            raise ValueError("bad text")
        return list(texts)

    async def main():
        batcher = Batcher(answer, size=8)
        batcher.start()
        requests = [asyncio.create_task(batcher([text, "x"])) for text in ("a", "bad", "b", "c")]
        await asyncio.sleep(0.05)
        gate.set()
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert [answers[i] for i in (0, 2, 3)] == [["a", "x"], ["b", "x"], ["c", "x"]]
        assert isinstance(answers[1], ValueError) and batcher.waiting == 0
        await batcher.stop()

    run(main)
