"""What the cache's checks cost: epochs of the head on pooled states, with the checks and without them.

    python benchmarks/cache_checks.py              # two to four minutes

With: each batch's token ids are compared with those of its rows and, before training and before validation, the frozen
part with what it was. Without: states are read by row number, and torch's version counters are all that is compared.
Both take turns, a fit of four epochs each, of which the first is not counted; CPU time, for other load only adds to it.
"""

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from fastai.callback.core import Callback

from kickbert import Cache, learner_from_df
from kickbert.cache import callback

ROUNDS = 120
DATA = Path(__file__).resolve().parents[1] / "data" / "tweets_sample.csv"


def versions(model) -> SimpleNamespace:
    """torch's version counters in place of a snapshot."""
    counters = [p._version for group in model.encoder.groups().values() for p in group]
    return SimpleNamespace(counters=counters, holds=lambda _, model: versions(model).counters == counters)


NAMES = ("Snapshot", "hindrance", "prefix_hooks", "prefix_modules")
WITH = {name: getattr(callback, name) for name in NAMES}
STUBS = (lambda _, model: versions(model), lambda model: None, lambda model: [], lambda model, depth: model)
WITHOUT = dict(zip(NAMES, STUBS, strict=True))


class Unchecked(callback.PrefixCache):
    """Hands states to the model by row number, whatever has become of the batch."""

    def before_batch(self):
        view = self._views[self.dl.ids]
        self.learn.xb = (self.xb[0], view.gather(self.dl.batch_rows)[:, 0].float(), view.store.depth)

    def after_batch(self):
        self.learn.xb = self.xb[:1]


class Clock(Callback):
    """CPU milliseconds of each epoch, but the first."""

    def before_epoch(self):
        self.start = time.process_time()

    def after_epoch(self):
        if self.epoch:
            self.learn.epochs.append(1e3 * (time.process_time() - self.start))


def main() -> None:
    """Print a line for the fastest epoch, and one for the lower quartile."""
    df, cache, ways = pd.read_csv(DATA).sample(2000, random_state=0), Cache(), []
    with tempfile.TemporaryDirectory() as folder:
        for functions, kept in ((WITH, cache), (WITHOUT, False)):
            learn = learner_from_df(df, model="minilm", path=folder, cbs=Clock, cache=kept)
            learn.logger, learn.epochs = lambda values: None, []
            learn.freeze()
            ways.append((learn, functions))
        learn.add_cb(Unchecked(cache))
        for _ in range(ROUNDS):
            for learn, functions in ways:
                vars(callback).update(functions)
                learn.fit(4, 1e-3)
    for share in (0.0, 0.25):
        slow, fast = (np.quantile(learn.epochs, share) for learn, _ in ways)
        print(f"quantile {share}: {slow:.1f} ms with checks, {fast:.1f} without: {slow / fast - 1:+.1%}")


if __name__ == "__main__":
    main()
