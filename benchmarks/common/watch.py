"""Accuracy on the test rows while something trains, with the clock stopped for each look."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from kickbert.data.bucketing import Packed
from kickbert.text.tokenization import PAD
from kickbert.utils.batching import length_batches


class Watch:
    """A stopwatch, and a look at the test rows every so many steps of whatever optimizer runs.

    Every rival is watched through the same hook of torch, in evaluation mode and bf16, which draws no random number.

    Args:
        labels: true class numbers of the test rows.
        every: steps between two looks.
    """

    def __init__(self, labels: np.ndarray, every: int):
        self.labels, self.every = np.asarray(labels), every
        self.curve: list[tuple[float, float]] = []
        self._start, self._off = time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """Since the start, without the looks."""
        return time.perf_counter() - self._start - self._off

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Time that does not count."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._off += time.perf_counter() - start

    @contextmanager
    def over(self, model: torch.nn.Module, logits: Callable, ids: list[np.ndarray]) -> Iterator[None]:
        """Look at the test rows while the body of the `with` trains, and once more at its end.

        Args:
            logits: of token ids (padded with -1) by the model.
            ids: tokens of each test row.
        """
        rows, steps = Packed.of([np.asarray(row, dtype=np.int32) for row in ids]), 0

        def stepped(*_) -> None:
            nonlocal steps
            steps += 1
            if steps % self.every == 0:
                self._look(model, logits, rows)

        hook = register_optimizer_step_post_hook(stepped)
        try:
            yield
        finally:
            hook.remove()
        self._look(model, logits, rows)

    def look(self, predicted: np.ndarray) -> None:
        """Note an accuracy that was found with the clock stopped."""
        self.curve.append((round(self.seconds, 2), float((predicted == self.labels).mean())))

    def _look(self, model: torch.nn.Module, logits: Callable, rows: Packed) -> None:
        with self.stopped():
            training, predicted = model.training, np.empty(len(rows), dtype=np.int64)
            model.eval()
            with torch.no_grad(), torch.autocast("cuda" if torch.cuda.is_available() else "cpu", torch.bfloat16):
                for chosen in length_batches(rows.lengths, tokens=4096):
                    x = rows.gather(chosen, fill=PAD).long().to(next(model.parameters()).device)
                    predicted[chosen] = logits(x).argmax(1).cpu().numpy()
            model.train(training)
        self.look(predicted)
