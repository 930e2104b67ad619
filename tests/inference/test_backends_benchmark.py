"""Speed is what a clock says of calls; sizes and order are as asked."""

import time

import pytest

from kickbert.inference import benchmark


def test_texts_per_second_and_latency():
    sizes = []

    def answer(texts):
        sizes.append(len(texts))
        time.sleep(0.002 * len(texts))

    table = benchmark(answer, ["a", "b", "c"], (1, 4), seconds=0.1)
    assert table["batch size"].tolist() == [1, 4] and set(sizes) == {1, 4}
    assert table["median ms"][0] == pytest.approx(2.2, abs=1.5) and table["median ms"][1] > 7
    assert (table["texts per second"] < 500).all() and (table["p99 ms"] >= table["median ms"]).all()
    assert (table["peak memory MB"] > 10).all()


def test_a_learner(make, reviews):
    table = benchmark(make(reviews), reviews["text"], (2,), seconds=0.1)
    assert table["calls"][0] >= 5


def test_nothing_to_measure():
    with pytest.raises(ValueError, match="0 texts"):
        benchmark(print, [])
    with pytest.raises(ValueError, match=r"batch_sizes=\[0\]"):
        benchmark(print, ["a"], [0])
