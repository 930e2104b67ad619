"""Throughput and latency; peak memory on every platform."""

import sys
import time

import psutil
import pytest

from kickbert.inference import benchmark
from kickbert.inference.benchmarking import peak_memory


def test_texts_per_second_and_latency():
    sizes = []

    def answer(texts):
        sizes.append(len(texts))
        time.sleep(0.002 * len(texts))

    table = benchmark(answer, ["a", "b", "c"], (1, 4), seconds=0.05)
    assert table["batch size"].tolist() == [1, 4] and set(sizes) == {1, 4}
    assert table["median ms"][0] > 1.9 and table["median ms"][1] > 7.9
    assert (table["texts per second"] < 501).all() and (table["p99 ms"] >= table["median ms"]).all()
    assert (table["calls"] >= 5).all() and (table["peak memory MB"] > 10).all()


def test_a_predictor_is_measured(predictor):
    assert benchmark(predictor, ["a warm film"], (2,), seconds=0.01)["calls"][0] >= 5


@pytest.mark.parametrize(("texts", "sizes"), [([], [1]), (["a"], [0])])
def test_nothing_to_measure(texts, sizes):
    with pytest.raises(ValueError, match="give at least one text, and sizes"):
        benchmark(print, texts, sizes)


def test_peak_memory_without_resource(monkeypatch):
    """Windows has no module `resource`."""
    resident = psutil.Process().memory_info().rss
    assert peak_memory() >= 0.9 * resident
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory() >= 0.9 * resident
