"""What the cache's checks cost: epochs of the head on pooled states, with the checks and without them.

    python benchmarks/cache_checks.py

With: each batch's token ids are compared with those of its rows, and in each epoch, before training and before
validation, the frozen part (hooks, settings, weights) with what it was. Without: states are served by row number, and
torch's version counters are all that is looked at. Both take turns, a fit of four epochs each, of which the first
is not counted. The times are CPU time of this process, the fastest epoch and the lower quartile: other load only adds.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from fastai.callback.core import Callback

from kickbert import Cache, learner_from_df
from kickbert.cache import callback

DATA = Path(__file__).resolve().parents[1] / "data" / "tweets_sample.csv"


class Versions:
    """A snapshot of torch's version counters alone."""

    def __init__(self, precision, model):
        self.versions = [p._version for group in model.encoder.groups().values() for p in group]

    def holds(self, precision, model):
        return self.versions == Versions(precision, model).versions


WITHOUT = {
    "Snapshot": Versions,
    "hindrance": lambda model: None,
    "prefix_hooks": lambda model: [],
    "prefix_modules": lambda model, depth: model,
}
WITH = {name: getattr(callback, name) for name in WITHOUT}


class Unchecked(callback.PrefixCache):
    """Hands states to the model by row number, whatever has become of the batch."""

    def before_batch(self):
        view = self._views[self.dl.ids]
        states = view.gather(self.dl.batch_rows)[:, 0]
        self.learn.xb = (self.xb[0], states.to(self.xb[0].device).float(), view.store.depth)

    def after_pred(self):
        self.learn.xb = self.xb[:1]

    def after_batch(self):
        pass


class Clock(Callback):
    """CPU milliseconds of each epoch."""

    def before_epoch(self):
        self.start = time.process_time()

    def after_epoch(self):
        self.learn.epochs.append(1e3 * (time.process_time() - self.start))


def epochs(learn, functions: dict) -> list[float]:
    """CPU milliseconds of three epochs."""
    vars(callback).update(functions)
    learn.epochs = []
    learn.fit(4, 1e-3)
    return learn.epochs[1:]


def main() -> None:
    """Print a line for the fastest epoch, and one for the lower quartile."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    df, cache = pd.read_csv(DATA).sample(2000, random_state=0), Cache()
    with tempfile.TemporaryDirectory() as folder:
        kwargs = {"model": "minilm", "path": folder, "cbs": Clock}
        checked, unchecked = (learner_from_df(df, cache=kept, **kwargs) for kept in (cache, False))
        unchecked.add_cb(Unchecked(cache))
        for learn in (checked, unchecked):
            learn.logger = lambda values: None
            learn.freeze()
        rounds = [(epochs(checked, WITH), epochs(unchecked, WITHOUT)) for _ in range(parser.parse_args().rounds)]
    for share in (0.0, 0.25):
        slow, fast = (np.quantile(np.concatenate(way), share) for way in zip(*rounds, strict=True))
        print(f"quantile {share}: {slow:.1f} ms with checks, {fast:.1f} without: {slow / fast - 1:+.1%}")


if __name__ == "__main__":
    main()
