"""Data-parallel training: the processes that torchrun starts (ranks) split the rows of each batch.

    rows → one shard per rank → its own store → its part of a batch → all predictions → loss → summed gradients

`GradualLearner.fit` enters `data_parallel`, which does nothing in a single process. Predictions are gathered before the
loss, and gradients are summed before the optimizer's step. So every loss, metric and callback sees the whole batch on
each rank, and a step equals that of one process. torch's DistributedDataParallel averages the losses of the ranks,
which differs with class weights, and must be recreated for each phase; fastai's trainer hides loaders and model from
the cache.
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
        ValueError: there are more processes than GPUs, or than cores without GPUs.
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
    """One rank's rows of a DataLoader; its batches match those of the other ranks.

    Rows are distributed by length. Each rank orders its rows as a single process would, with a generator in the same
    state, so the parts of a batch have nearly the same length.

    Args:
        whole: the DataLoader with all rows.
        counts: number of rows on each rank; they differ by at most one.
        order: for the rows of rank 0, then of rank 1 and so on, their positions in the whole.

    Attributes:
        sizes: rows of each rank in the last batch.
    """

    def __init__(self, *args: Any, whole: BucketDL, counts: list[int], order: np.ndarray, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.whole, self.counts, self.order, self.sizes, self.rng = whole, counts, order, counts, whole.rng

    @classmethod
    def of(cls, whole: BucketDL) -> "Shard":
        """Return the shard of this rank; `bs` is rounded up to a multiple of the number of ranks.

        Raises:
            ValueError: there are fewer rows than ranks.
        """
        ids, *targets = whole.rows
        weights, renew, ranks = whole.weights, whole.renew, world_size()
        # Rows with the same weight have the same class, so each rank gets its share of every class.
        dealt = np.lexsort((-ids.sizes,) if weights is None else (-ids.sizes, weights))
        shares = [dealt[r::ranks] for r in range(ranks)]
        counts = [len(share) for share in shares]
        if counts[-1] == 0:
            raise ValueError(
                f"{ranks} processes are too many for {plural(len(dealt), 'row')}; start at most {len(dealt)}"
            )
        own = shares[rank()]
        return whole.new(
            cls=cls, whole=whole, counts=counts, order=np.concatenate(shares),
            n=counts[-whole.drop_last], bs=-(-whole.bs // ranks),
            rows=(ids.take(own.tolist()), *(t[own] for t in targets)),
            weights=None if weights is None else weights[own] / weights[own].sum(),
            offsets=None if whole.offsets is None else whole.offsets[own],
            renew=None if renew is None else lambda: renew().take(own.tolist()),
        )  # fmt: skip

    def new(self, *args: Any, **kwargs: Any) -> BucketDL:
        """Copy the whole DataLoader with other arguments: `get_preds` within a fit predicts all rows."""
        return self.whole.new(*args, **kwargs)

    def of_whole(self, part: Tensor) -> Tensor:
        """Return the rows of all ranks, in the order of the whole, from this rank's rows of a tensor."""
        rows = gathered(part, self.counts)
        return torch.empty_like(rows).index_copy_(0, torch.from_numpy(self.order).to(rows.device), rows)

    def get_idxs(self) -> list[int]:
        if not self.shuffle:
            return super().get_idxs()
        # Every rank draws equally many random numbers, even if it has one row more than the others.
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
            # A rank without rows left still computes one, which does not count.
            yield self.gather(samps[start : start + self.bs] or samps[:1])


class WholeBatch(Callback):
    """Gather predictions and targets of all ranks before the loss; only a rank's own have a gradient there."""

    order = -5  # before callbacks that read predictions

    def before_fit(self):
        if rank():  # otherwise dropout would drop the same units in each part of a batch
            torch.manual_seed(int(torch.randint(2**31, ())) + rank())

    def after_pred(self):
        if isinstance(self.dl, Shard):
            self.learn.pred = gathered(self.pred, self.dl.sizes)
            self.learn.yb = tuple(gathered(y, self.dl.sizes) for y in self.yb)


def gathered(part: Tensor, sizes: list[int]) -> Tensor:
    """Concatenate the rows of all ranks.

    Args:
        part: rows of this rank, shape (at least sizes[rank], ...).
        sizes: number of rows on each rank.
    """
    part = part[: sizes[rank()]]
    padded = torch.cat([part, part.new_zeros(max(sizes) - len(part), *part.shape[1:])]).detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    rows = [rows[:size] for rows, size in zip(parts, sizes, strict=True)]
    rows[rank()] = part
    return torch.cat(rows)


class SummedGradients(Callback):
    """Sum the gradients of all ranks before a step; each rank has those of its own rows.

    On the CPUs of one machine this uses shared memory, in a third of the CPU time of gloo's all-reduce; otherwise
    all-reduce.
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
            # No rank writes here again until the next batch's predictions are gathered, after all ranks have read.
            dist.barrier()
        for grad, part in zip(grads, parts.split(sizes, 1), strict=True):
            torch.sum(part.unflatten(1, grad.shape), 0, out=grad)


def shared_memory(shape: tuple[int, int]) -> Tensor | None:
    """Return a float32 tensor that all ranks read and write; None on several machines or without shared memory."""
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
        dist.barrier()  # every rank has opened the file before it is deleted
    return tensor.view(shape)


@contextmanager
def data_parallel(learn: Any, epochs: int, cbs: Any = None) -> Iterator[None]:
    """Split the rows of a fit among the ranks, which start with the weights of the first rank.

    Args:
        learn: the learner.
        epochs: epochs of the fit.
        cbs: callbacks of the fit.
    Raises:
        ValueError: the ranks differ in rows or settings, there are fewer rows than ranks, or the fit is `lr_find`.
        RuntimeError: another rank has ended.
    """
    join()
    if world_size() == 1:
        yield
        return
    if any(isinstance(cb, LRFinder) for cb in L(cbs)):
        raise ValueError("lr_find runs in one process only. Run it without torchrun and pass its rate to fit_gradual")
    whole = learn.dls.loaders
    with _lost_ranks_named():
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
def _lost_ranks_named() -> Iterator[None]:
    """Raise an error that says that another rank has ended; torch only reports a lost connection."""
    try:
        yield
    except (RuntimeError, dist.DistError) as err:
        reason = str(err).splitlines()[-1].strip()  # fastai puts a line before it
        if isinstance(err, dist.DistError) or "gloo" in reason:
            raise RuntimeError(
                f"rank {rank()} lost another of {world_size()} ranks ({reason}). See that rank's output for the "
                "reason; fit_gradual(resume=True) continues after the last finished phase"
            ) from err
        raise


def _agree(learn: Any, epochs: int) -> None:
    """Check that all ranks have the same rows and settings; copy the first rank's weights and batch order to all."""
    loaders = learn.dls.loaders
    if kinds := {type(dl).__name__ for dl in loaders if not isinstance(dl, BucketDL)}:
        raise ValueError(f"{kinds} cannot be split among processes. Use the DataLoaders of learner_from_df")
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
                f"rank {number} differs from rank 0 in {', '.join(differing)} (training and validation rows: "
                f"{other['rows'][1]} and {every[0]['rows'][1]}). Give all ranks the same rows, options and seed"
            )
    with torch.no_grad():
        for tensor in (*learn.model.parameters(), *learn.model.buffers()):
            dist.broadcast(tensor, 0)
    for dl, state in zip(loaders, _of_all([dl.rng.getstate() for dl in loaders])[0], strict=True):
        dl.rng.setstate(state)


def _of_all(value: Any) -> list:
    """Return the value of each rank."""
    values: list = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def _bytes_cached(learn: Any) -> list[int]:
    return _of_all(int(learn.cache.info()["bytes"].sum()) if hasattr(learn, "cache") else 0)


def on_first(work: Callable[[], Any]) -> Any:
    """Run something on the first rank only, such as writing a file.

    Returns:
        Its result, on each rank; an exception is also raised on each.
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
    with _lost_ranks_named():
        result, error = _of_all(outcome)[0]
    if error is not None:
        raise error
    return result
