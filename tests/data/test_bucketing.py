import numpy as np
import pytest
import torch
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import ColReader, RandomSplitter
from fasttransform import ItemTransform, Transform
from hypothesis import given
from hypothesis import strategies as st

from kickbert.data.batching import bucketed
from kickbert.data.bucketing import BucketDL
from kickbert.data.dataloaders import TextBlock
from kickbert.data.transforms import Tokens
from kickbert.text.tokenization import PAD


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200), st.integers(1, 40), st.integers(0, 9))
def test_buckets_contain_each_row_once(lengths, bs, seed):
    order = bucketed(np.array(lengths), bs, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(lengths)))


def test_buckets_have_little_padding_and_change_every_epoch():
    lengths = np.random.default_rng(0).integers(5, 60, 2000)
    rng = np.random.default_rng(1)
    first, second = bucketed(lengths, 32, rng), bucketed(lengths, 32, rng)
    batches = [lengths[first[i : i + 32]] for i in range(0, 1984, 32)]
    padded = sum(b.max() * len(b) for b in batches)
    assert padded / sum(b.sum() for b in batches) < 1.08
    assert {frozenset(first[i : i + 32]) for i in range(0, 1984, 32)}.isdisjoint(
        {frozenset(second[i : i + 32]) for i in range(0, 1984, 32)}
    )
    longest = [b.max() for b in batches]
    assert longest != sorted(longest) and longest != sorted(longest, reverse=True)


@pytest.fixture
def by_hand(tiny, reviews):
    block = DataBlock(
        blocks=(TextBlock(tiny), CategoryBlock),
        get_x=ColReader("text"),
        get_y=ColReader("label"),
        splitter=RandomSplitter(0.2, seed=1),
    )
    return block.dataloaders(reviews, bs=16)


def test_a_datablock(by_hand, tiny_tok):
    x, y = by_hand.train.one_batch()
    assert isinstance(by_hand.train, BucketDL) and type(x) is Tokens
    assert x.shape[0] == 16 and y.shape == (16,) and (x[:, 0] == 0).all()
    assert by_hand.vocab == ["bad", "good"]
    assert sum(len(b[1]) for b in by_hand.valid) == 24


def test_a_learner_on_a_datablock(by_hand, tiny, tmp_path):
    from kickbert.models.classifier import TextClassifier
    from kickbert.models.encoder import load_encoder
    from kickbert.models.head import Head
    from kickbert.training.learner import GradualLearner

    model = TextClassifier(load_encoder(tiny), Head(32, 2))
    learn = GradualLearner(by_hand, model, path=tmp_path)
    assert len(learn.fit_gradual()) == 2
    assert learn.predict("a dull, cold film")[0] in ("bad", "good")
    learn.show_results(max_n=2)


def test_predictions_are_in_the_order_of_the_rows(by_hand, reviews):
    dl = by_hand.test_dl(reviews)
    seen = [row for _ in dl for row in dl.batch_rows]
    lengths = dl.rows[0].lengths
    assert sorted(seen) == list(range(120)) and seen != list(range(120))
    assert (np.diff(lengths[seen]) <= 0).all()


def test_the_order_depends_only_on_the_seed(by_hand):
    def order(seed):
        by_hand.train.seed(seed)
        return [tuple(by_hand.train.batch_rows) for _ in by_hand.train]

    torch.rand(3)
    assert order(5) == order(5) != order(6)


def test_packed_rows_are_shared_by_copies(by_hand):
    assert by_hand.train.new(bs=4).rows is by_hand.train.rows


def test_a_random_subset_of_rows(make, reviews):
    whole = make(reviews, sampling="balanced", valid=0).dls.train
    some = whole.some_rows(30, seed=1)
    assert len(some.rows[0].sizes) == len(some.rows[1]) == len(some.weights) == 30 and len(some) == 2
    assert some.weights.sum() == pytest.approx(1) and some.rng is whole.rng
    at = {key: i for i, key in enumerate(whole.rows[0].keys)}
    drawn = [at[key] for key in some.rows[0].keys]
    assert len(set(drawn)) == 30 and torch.equal(some.rows[1], whole.rows[1][drawn])
    assert max(drawn) > 60 and sum(len(x) for x, _ in some) == 30
    assert whole.some_rows(30, seed=1).rows[0].keys == some.rows[0].keys != whole.some_rows(30, seed=2).rows[0].keys
    assert whole.some_rows(120, seed=1) is whole and len(whole.rows[1]) == 120


def test_drop_last(by_hand):
    assert [len(b[1]) for b in by_hand.valid.new(bs=10, drop_last=True)] == [10, 10]
    assert [len(b[1]) for b in by_hand.valid.new(bs=10, drop_last=False)] == [10, 10, 4]


@pytest.mark.parametrize("name", ["before_batch", "create_batch", "do_batch", "shuffle_fn"])
def test_transforms_that_are_never_called_raise_an_error(by_hand, reviews, name):
    with pytest.raises(ValueError, match=f"{name}= is never called.*Use item_tfms"):
        by_hand.train.new(**{name: lambda batch: batch})
    assert by_hand.train.new(before_batch=[]).rows is by_hand.train.rows
    by_hand.add_tfms([WordDropout()], "before_batch")
    with pytest.raises(ValueError, match="before_batch= is never called"):
        by_hand.train.one_batch()


class WordDropout(Transform):
    """Make a tenth of the tokens unknown, in training rows only, like fastai's random transforms."""

    split_idx = 0

    def encodes(self, x: Tokens):
        return Tokens(torch.where(torch.rand(len(x)) < 0.1, 3, x))


def dropping(tiny, reviews, item_tfms):
    block = DataBlock(
        blocks=(TextBlock(tiny), CategoryBlock),
        get_x=ColReader("text"),
        get_y=ColReader("label"),
        splitter=RandomSplitter(0.2, seed=1),
        item_tfms=item_tfms,
    )
    return block.dataloaders(reviews, bs=16)


def epoch(dl) -> dict[int, list[int]]:
    """The tokens of each row in one epoch."""
    return {
        row: [t for t in ids if t != PAD] for x, _ in dl for row, ids in zip(dl.batch_rows, x.tolist(), strict=True)
    }


def test_random_item_tfms_are_drawn_in_each_epoch(tiny, reviews, by_hand):
    dls = dropping(tiny, reviews, WordDropout())
    first, second, clean = epoch(dls.train), epoch(dls.train), epoch(by_hand.train)
    assert first != second and dls.train.varies and not by_hand.train.varies
    differ = np.mean([a != b for row in clean for a, b in zip(first[row], clean[row], strict=True)])
    assert 0.05 < differ < 0.15
    assert epoch(dls.valid) == epoch(by_hand.valid) and not dls.valid.varies


def test_item_tfms_may_change_lengths_and_targets(tiny, reviews):
    def first_half(item):
        x, y = item
        return Tokens(x[: len(x) // 2]), 1 - y

    class Half(ItemTransform):
        def encodes(self, item):
            return first_half(item)

    dls, plain = dropping(tiny, reviews, Half()), dropping(tiny, reviews, None)
    halves, rows = epoch(dls.train), epoch(plain.train)
    assert halves == {row: ids[: len(ids) // 2] for row, ids in rows.items()}
    assert sum(y.sum() for _, y in dls.valid) == len(dls.valid_ds) - sum(y.sum() for _, y in plain.valid)


def test_varying_rows_are_computed_and_the_others_cached(tiny, reviews, tmp_path, capsys):
    from kickbert import Cache
    from kickbert.models.classifier import TextClassifier
    from kickbert.models.encoder import load_encoder
    from kickbert.models.head import Head
    from kickbert.training.learner import GradualLearner

    dls = dropping(tiny, reviews, WordDropout())
    learn = GradualLearner(dls, TextClassifier(load_encoder(tiny), Head(32, 2)), path=tmp_path, cache=Cache())
    learn.freeze()
    learn.fit(2, 1e-3)
    assert capsys.readouterr().out.count("training texts change from epoch to epoch") == 1
    assert learn.cache.info()["rows"].tolist() == [len(dls.valid_ds)]


def test_item_tfms_and_windows_cannot_be_combined(make, reviews):
    dls = make(reviews, long="windows", max_length=6, stride=1).dls
    with pytest.raises(ValueError, match=r"item_tfms=\[WordDropout.*documents in windows. Use batch_tfms"):
        dls.train.new(after_item=WordDropout())
    assert dls.valid.new(after_item=WordDropout()).rows is dls.valid.rows  # validation rows are unchanged


def test_stored_ids_do_not_change_if_a_transform_writes_into_the_batch(by_hand):
    def blank(x: Tokens):
        return x.fill_(3)

    dl = by_hand.train.new(after_batch=[blank])
    x = next(iter(dl))[0]
    assert (x == 3).all() and not (dl.batch_ids == 3).all()


def test_the_summary_of_a_datablock(reviews, tiny, capsys):
    readers = {"get_x": ColReader("text"), "get_y": ColReader("label"), "splitter": RandomSplitter(0.2, seed=1)}
    DataBlock(blocks=(TextBlock(tiny), CategoryBlock), **readers).summary(reviews, bs=3, show_batch=True)
    shown = capsys.readouterr().out
    assert "Collating items in a batch" in shown and "Error" not in shown and "target" in shown
