"""Data-parallel training: the processes that torchrun starts, its ranks, share out the rows of each batch.

    rows → a shard for each rank → its own store → its part of a batch → predictions of all → loss → gradients of all

`GradualLearner.fit` enters `data_parallel`, which does nothing for a process alone. Predictions are gathered before the
loss and gradients summed before the optimizer's step: every loss, metric and callback has the whole batch on each rank,
and a step is that of one process. torch's DistributedDataParallel averages the losses of ranks, another loss where
classes have weights, and must be recreated for each phase; fastai's trainer hides loaders and model from the cache.
"""

import atexit
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from fastai.callback.core import Callback
from fastai.callback.schedule import LRFinder
from fastai.callback.training import GradientClip
from fastcore.foundation import L
from torch import Tensor

from kickbert.data.batching import bucketed
from kickbert.data.bucketing import BucketDL
from kickbert.utils.hashing import fingerprint
from kickbert.utils.messages import plural
from kickbert.utils.processes import check_processes, rank, world_size
from kickbert.utils.progress import say


def join() -> None:
    """Join the process group of torchrun, with one GPU per process if there are GPUs; without torchrun, do nothing.

    Raises:
        ValueError: there are more of them than GPUs, or than cores where there is no GPU.
    """
    if world_size() == 1 or dist.is_initialized():
        return
    gpus = torch.cuda.device_count()
    check_processes(world_size(local=True), gpus)
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")
    atexit.register(dist.destroy_process_group)


class Shard(BucketDL):
    """The rows of a DataLoader that one rank takes, in batches that belong together with those of the other ranks.

    Rows are dealt out by length. Every rank orders its own by the law of one process, from a generator of the same
    state, so that the parts of a batch are of nearly the same length.

    Args:
        whole: the DataLoader of all rows.
        counts: how many rows each rank has, which differ by one at most.

    Attributes:
        sizes: rows of each rank in the batch last given out.
    """

    def __init__(self, *args: Any, whole: BucketDL, counts: list[int], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.whole, self.counts, self.sizes, self.rng = whole, counts, counts, whole.rng

    @classmethod
    def of(cls, whole: BucketDL) -> "Shard":
        """The shard of this rank; `bs` is rounded up to a multiple of the number of ranks.

        Raises:
            ValueError: there are fewer rows than ranks.
        """
        ids, *targets = whole.rows
        weights, renew, ranks = whole.weights, whole.renew, world_size()
        # Rows of one weight are of one class: so each rank has its share of every class.
        dealt = np.lexsort((-ids.sizes,) if weights is None else (-ids.sizes, weights))
        counts = [len(dealt[r::ranks]) for r in range(ranks)]
        if counts[-1] == 0:
            raise ValueError(
                f"{ranks} processes are too many for {plural(len(dealt), 'row')}; start at most {len(dealt)}"
            )
        own = dealt[rank() :: ranks]
        return whole.new(
            cls=cls, whole=whole, counts=counts, n=counts[-whole.drop_last], bs=-(-whole.bs // ranks),
            rows=(ids.take(own.tolist()), *(t[own] for t in targets)),
            weights=None if weights is None else weights[own] / weights[own].sum(),
            renew=None if renew is None else lambda: renew().take(own.tolist()),
        )  # fmt: skip

    def new(self, *args: Any, **kwargs: Any) -> BucketDL:
        """A copy of the whole DataLoader with other arguments: `get_preds` within a fit is of all rows."""
        return self.whole.new(*args, **kwargs)

    def get_idxs(self) -> list[int]:
        if not self.shuffle:
            return super().get_idxs()
        # As many numbers are drawn on each rank, whether it has a row more than others or not.
        rng, lengths, common = np.random.default_rng(self.rng.getrandbits(64)), self.ids.sizes, min(self.counts)
        rows, odd = np.arange(len(lengths)), rng.integers(common + 1)
        if self.weights is not None:
            rows = rng.choice(rows, max(self.counts), p=self.weights)[: len(rows)]
        elif len(rows) > common:
            rows = np.append(np.delete(rows, odd), odd)
        return [*rows[bucketed(lengths[rows[:common]], self.bs, rng)].tolist(), *rows[common:].tolist()]

    def create_batches(self, samps: Any) -> Iterator[tuple]:
        samps = list(samps)
        for start in range(0, len(self) * self.bs, self.bs):
            self.sizes = [min(self.bs, count - start) for count in self.counts]
            # A rank that has no row left computes one all the same, which does not count.
            yield self.gather(samps[start : start + self.bs] or samps[:1])


class WholeBatch(Callback):
    """Gathers predictions and targets of all ranks, before the loss; only its own have a gradient on each rank."""

    order = -5  # before whatever looks at predictions

    def before_fit(self):
        if rank():  # or the same places would be dropped out in each part of a batch
            torch.manual_seed(int(torch.randint(2**31, ())) + rank())

    def after_pred(self):
        if isinstance(self.dl, Shard):
            self.learn.pred = gathered(self.pred, self.dl.sizes)
            self.learn.yb = tuple(gathered(y, self.dl.sizes) for y in self.yb)


def gathered(part: Tensor, sizes: list[int]) -> Tensor:
    """The rows of all ranks, one rank after the other.

    Args:
        part: rows of this rank, shape (at least sizes[rank], ...).
        sizes: number of rows of each rank.
    """
    part = part[: sizes[rank()]]
    padded = torch.cat([part, part.new_zeros(max(sizes) - len(part), *part.shape[1:])]).detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    rows = [rows[:size] for rows, size in zip(parts, sizes, strict=True)]
    rows[rank()] = part
    return torch.cat(rows)


class SummedGradients(Callback):
    """Sums gradients over ranks before a step: each has those of its own rows.

    On CPUs of one machine through shared memory, in a third of the CPU time of gloo's all-reduce; else by all-reduce.
    """

    run_valid = False
    order = GradientClip.order - 1  # after gradient accumulation, which may skip the step

    def before_fit(self):
        self.size, self.shared = 0, None

    def before_step(self):
        grads = [p.grad for p in self.model.parameters() if p.grad is not None]
        sizes = [grad.numel() for grad in grads]
        if self.size != sum(sizes):
            self.size = sum(sizes)
            self.shared = shared_memory((world_size(), self.size)) if grads[0].device.type == "cpu" else None
        flat = [grad.reshape(-1) for grad in grads]
        if self.shared is None:
            parts = torch.cat(flat)[None]
            dist.all_reduce(parts)
        else:
            parts = self.shared
            torch.cat(flat, out=parts[rank()])
            # No rank writes here again before the predictions of the next batch are gathered: all have read by then.
            dist.barrier()
        for grad, part in zip(grads, parts.split(sizes, 1), strict=True):
            torch.sum(part.unflatten(1, grad.shape), 0, out=grad)


def shared_memory(shape: tuple[int, int]) -> Tensor | None:
    """A float32 tensor that all ranks read and write; None on several machines, or without shared memory."""
    size, name = math.prod(shape), None
    if world_size() > world_size(local=True):
        return None
    with ExitStack() as opened:
        if rank() == 0:
            with suppress(OSError, AttributeError):  # full or missing (macOS, Windows): writing would crash later
                file = opened.enter_context(tempfile.NamedTemporaryFile(prefix="kickbert-", dir="/dev/shm"))
                os.posix_fallocate(file.fileno(), 0, 4 * size)
                name = file.name
        if (name := _of_all(name)[0]) is None:
            return None
        tensor = torch.from_file(name, shared=True, size=size, dtype=torch.float32)
        dist.barrier()  # each has opened it when its name goes away
    return tensor.view(shape)


@contextmanager
def data_parallel(learn: Any, epochs: int, cbs: Any = None) -> Iterator[None]:
    """Share out the rows of a fit among the ranks, which begin it with the weights of the first one.

    Args:
        learn, epochs, cbs: the learner, and of its fit the epochs and callbacks.
    Raises:
        ValueError: ranks differ in rows or settings, there are fewer rows than ranks, or it is `lr_find`.
        RuntimeError: another rank is gone.
    """
    join()
    if world_size() == 1:
        yield
        return
    if any(isinstance(cb, LRFinder) for cb in L(cbs)):
        raise ValueError("lr_find runs in one process only. Run it without torchrun and pass its rate to fit_gradual")
    whole = learn.dls.loaders
    with _others_there():
        _agree(learn, epochs)
        learn.dls.loaders = [Shard.of(dl) if len(dl.dataset) else dl for dl in whole]
        try:
            before = _bytes_cached(learn)
            with learn.added_cbs([WholeBatch(), SummedGradients()]):
                yield
            if (held := _bytes_cached(learn)) != before:
                say("cache: " + ", ".join(f"{size:,} bytes on rank {number}" for number, size in enumerate(held)))
        finally:
            for dl, shard in zip(whole, learn.dls.loaders, strict=True):
                dl.rng = shard.rng
            learn.dls.loaders = whole


@contextmanager
def _others_there() -> Iterator[None]:
    """Say in a sentence that another rank is gone, where torch says that a connection is."""
    try:
        yield
    except (RuntimeError, dist.DistError) as err:
        reason = str(err).splitlines()[-1].strip()  # fastai puts a line before it
        if isinstance(err, dist.DistError) or "gloo" in reason:
            raise RuntimeError(
                f"rank {rank()} lost another of {world_size()} ranks, whose own message says why if it had the time "
                f"({reason}); fit_gradual(resume=True) goes on after the last phase that was finished"
            ) from err
        raise


def _agree(learn: Any, epochs: int) -> None:
    """Check that all ranks are about to do the same, and give them the first rank's weights and order of batches."""
    loaders = learn.dls.loaders
    if kinds := {type(dl).__name__ for dl in loaders if not isinstance(dl, BucketDL)}:
        raise ValueError(f"{kinds} cannot be shared out among processes, as the DataLoaders of learner_from_df can")
    facts = {
        "rows": (fingerprint([dl.rows for dl in loaders]), [len(dl.dataset) for dl in loaders]),
        "batches": [(dl.bs, dl.shuffle, dl.drop_last, dl.weights is None) for dl in loaders],
        "model": [(name, tuple(p.shape)) for name, p in learn.model.named_parameters()],
        "frozen part": [p.requires_grad for p in learn.model.parameters()],
        "precision": learn.model.precision,
        "epochs": epochs,
    }
    every = _of_all(facts)
    for number, other in enumerate(every):
        if differing := [name for name in facts if other[name] != every[0][name]]:
            raise ValueError(
                f"rank {number} has other {', '.join(differing)} than rank 0 (training and validation rows: "
                f"{other['rows'][1]} and {every[0]['rows'][1]}); give all the same rows, options and seed"
            )
    with torch.no_grad():
        for tensor in (*learn.model.parameters(), *learn.model.buffers()):
            dist.broadcast(tensor, 0)
    for dl, state in zip(loaders, _of_all([dl.rng.getstate() for dl in loaders])[0], strict=True):
        dl.rng.setstate(state)


def _of_all(value: Any) -> list:
    """The value of each rank."""
    values: list = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def _bytes_cached(learn: Any) -> list[int]:
    return _of_all(int(learn.cache.info()["bytes"].sum()) if hasattr(learn, "cache") else 0)


def on_first(work: Callable[[], Any]) -> Any:
    """Let the first rank alone do what all of them come to: write a file, say.

    Returns:
        What it returned there, on each rank; so with what it raised.
    """
    join()
    if world_size() == 1:
        return work()
    outcome: tuple[Any, Exception | None] | None = None
    if not rank():
        try:
            outcome = work(), None
        except Exception as err:
            outcome = None, err
    with _others_there():
        result, error = _of_all(outcome)[0]
    if error is not None:
        raise error
    return result
