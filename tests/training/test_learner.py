import itertools
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.schedule import minimum, valley
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.callback.training import GradientAccumulation, GradientClip
from fastai.interpret import ClassificationInterpretation
from fastai.learner import Learner

from kickbert import GradualLearner, Phase, gradual_unfreezing, learner_from_df

TRAINED = [Phase("everything", 0, 12, 4e-3)]


def test_the_ladder_has_a_row_per_phase(make, reviews):
    ladder = make(reviews).fit_gradual()
    assert ladder["phase"].tolist() == ["head", "last 2 layers"]
    assert ladder["trainable"].tolist() == [66, 66 + 2 * 8_544]
    assert {"epochs", "lr", "seconds", "train_loss", "valid_loss", "accuracy", "macro-F1"} <= set(ladder.columns)


def test_it_learns(make, reviews):
    learn = make(reviews)
    ladder = learn.fit_gradual(gradual_unfreezing(4, layers=(0, 2), epochs=(1, 12), lr=(1e-3, 5e-3)))
    assert ladder["accuracy"].iloc[-1] > 0.9


def test_groups_say_what_trains_at_what_rate(make, reviews):
    learn = make(reviews)
    assert learn.groups["trainable"].all() and learn.groups["group"].tolist() == [
        "embeddings",
        "layer 1",
        "layer 2",
        "head",
    ]
    learn.fit_gradual([Phase("last layer", 2, 1, 1e-3, decay=0.5)])
    groups = learn.groups
    assert groups["trainable"].tolist() == [False, False, True, True]
    assert groups["lr"].iloc[:2].tolist() == [0, 0] and groups["lr"].iloc[2] == pytest.approx(groups["lr"].iloc[3] / 2)
    assert groups["parameters"].sum() == sum(p.numel() for p in learn.model.parameters())


def test_frozen_groups_do_not_move(make, reviews):
    learn = make(reviews)
    before = {n: p.clone() for n, p in learn.model.named_parameters()}
    learn.fit_gradual([Phase("last layer", 2, 2, 1e-2)])
    moved = {n for n, p in learn.model.named_parameters() if not torch.equal(p, before[n])}
    assert moved and all("layer.1." in n or n.startswith("head") for n in moved)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_seed_makes_two_runs_equal_number_for_number(make, reviews, precision):
    runs = []
    for seed in (7, 7, 8):
        learn = make(reviews, seed=seed, precision=precision)
        torch.rand(5), np.random.rand(5)  # what happens in between must not matter
        ladder = learn.fit_gradual().drop(columns="seconds")
        runs.append((ladder, torch.cat([p.flatten() for p in learn.model.parameters()])))
    assert runs[0][0].equals(runs[1][0]) and torch.equal(runs[0][1], runs[1][1])
    assert not torch.equal(runs[0][1], runs[2][1])


def test_seed_makes_fastais_own_fits_equal(make, reviews):
    def losses():
        learn = make(reviews)
        learn.fit_one_cycle(2, 1e-3)
        return learn.recorder.losses

    assert torch.equal(torch.stack(list(losses())), torch.stack(list(losses())))


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "attention"])
def test_poolings_and_two_layer_heads_train(make, reviews, pooling):
    learn = make(reviews, pooling=pooling, head_layers=2, dropout=0.2)
    assert learn.fit_gradual()["accuracy"].between(0, 1).all()


def test_fastais_own_methods_work(make, reviews, capsys):
    learn = make(reviews)
    learn.freeze()
    assert learn.groups["trainable"].tolist() == [False, False, False, True]
    learn.fit_one_cycle(1, 1e-3)
    learn.freeze_to(-2)
    learn.fit(1, cbs=[GradientAccumulation(32), GradientClip(1.0)])
    learn.unfreeze()
    learn.fine_tune(1)
    suggested = learn.lr_find(suggest_funcs=(minimum, valley), show_plot=False, num_it=20)
    assert 0 < suggested.minimum <= 10 and 0 < suggested.valley <= 10
    learn.fit_flat_cos(1, 1e-4)
    assert len(learn.validate()) == 3
    probs, targets = learn.get_preds()
    assert probs.shape == (18, 2) and targets.shape == (18,)
    capsys.readouterr()
    learn.show_results(max_n=2)
    assert capsys.readouterr().out.splitlines()[0].split() == ["text", "target", "predicted"]


def test_fine_tune_is_fastais(make, reviews):
    assert GradualLearner.fine_tune is Learner.fine_tune
    learn = make(reviews)
    learn.fine_tune(1, 2e-3)
    rates = [fit.rates for fit in learn.history.fits]
    assert max(rates[0]) == pytest.approx(2e-3, rel=0.05) and max(rates[1]) == pytest.approx(1e-3, rel=0.05)
    assert learn.history.fits[1].shares == pytest.approx(np.geomspace(0.01, 1, 4), rel=1e-3)


def two_groups(model):
    return [list(model.encoder.parameters()), list(model.head.parameters())]


def test_custom_groups_momentum_and_norms(make, reviews):
    made = make(reviews)
    options = {"path": made.path, "cache": False}
    learn = GradualLearner(made.dls, made.model, splitter=two_groups, moms=(0.95, 0.85, 0.95), **options)
    ladder = learn.fit_gradual([Phase("head", 1, 1, 1e-3), Phase("everything", 0, 1, 1e-3, decay=0.1)])
    assert ladder["trainable"].tolist() == [66, 30_274]
    assert learn.history.fits[-1].shares == pytest.approx([0.1, 0.1, 0.1, 1])  # by layer group
    learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    assert max(learn.recorder.hps["mom"]) == 0.95
    for call in (learn.fit_gradual, learn.fit_few):
        with pytest.raises(ValueError, match=r"splitter= defines other"):
            call()
    normed = GradualLearner(made.dls, made.model, train_bn=True, **options)
    normed.freeze()
    norm, dense = (made.model.encoder.body.get_submodule(f"embeddings.{n}") for n in ("LayerNorm", "word_embeddings"))
    before = norm.weight.clone(), dense.weight.clone()
    normed.fit(1, 1e-2)
    assert not torch.equal(norm.weight, before[0]) and torch.equal(dense.weight, before[1])


def test_fastais_callbacks_work(make, reviews):
    learn = make(reviews)
    learn.fit(3, 1e-3, cbs=[SaveModelCallback(monitor="accuracy"), EarlyStoppingCallback(patience=1)])
    learn.save("here")
    weights = learn.model.head.classifier.weight.clone()
    torch.nn.init.zeros_(learn.model.head.classifier.weight)
    learn.load("here")
    assert torch.equal(learn.model.head.classifier.weight, weights)


def test_interpretation_names_the_right_rows(make, reviews, capsys):
    learn = make(reviews)
    learn.fit_gradual()
    interpretation = ClassificationInterpretation.from_learner(learn)
    assert interpretation.confusion_matrix().sum() == 18
    losses, rows = interpretation.top_losses(5)
    items = [learn.dls.valid_ds.items[i] for i in rows]
    probs = learn.predict_df(pd.DataFrame({"text": [row.text for row in items]}))
    expected = [-np.log(probs.iloc[i][f"prob_{row.target}"]) for i, row in enumerate(items)]
    assert np.allclose(losses, np.array(expected, dtype=float), atol=1e-4)
    capsys.readouterr()
    interpretation.plot_top_losses(5)
    shown = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[-4] for line in shown] == [row.target for row in items]
    assert [float(line.split()[-1]) for line in shown] == pytest.approx(losses.tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"max_length": 65}, "max_length=65 is not between 3 and 64"),
        ({"pooling": "avg"}, "pooling='avg' is not one of"),
        ({"precision": "fp8"}, "precision='fp8' is not one of"),
        ({"model": "./nowhere"}, "Folder not found: model='./nowhere'"),
        ({"head_layers": 3}, "head_layers=3 is not 1 or 2"),
    ],
)
def test_bad_arguments(make, reviews, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(reviews, **kwargs)


def test_a_phase_beyond_the_groups(make, reviews):
    with pytest.raises(ValueError, match="must freeze to a group from 0 to 3"):
        make(reviews).fit_gradual([Phase("x", 4, 1, 1e-3)])


def test_nothing_is_warned_of_on_good_data(tiny, reviews, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        learned = {"layers": (0,)}  # the optimum of the head
        learner_from_df(reviews, model=tiny, path=tmp_path, bs=16, schedule=learned).fit_gradual()
    ours = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    assert ours == []


@pytest.mark.system
def test_minilm_learns_a_sentiment_that_its_frozen_states_do_not_show(minilm, tmp_path):
    """Real weights, real tokenizer: the last layers learn which adjective is the plot's, the head alone cannot."""
    praise = ["lovely", "superb", "moving", "clever", "charming"]
    scorn = ["dreary", "clumsy", "stale", "hollow", "crude"]
    things = ["score", "cast", "ending", "script", "pace", "jokes", "camera work"]
    rows = []
    for i, (thing, good, bad) in enumerate(itertools.product(things, praise, scorn)):
        about = [(f"the {thing} is {bad}", f"the plot is {good}"), (f"the {thing} is {good}", f"the plot is {bad}")]
        rows += [
            (" and ".join(parts if i % 2 else parts[::-1]), label) for parts, label in zip(about, (1, 0), strict=True)
        ]
    df = pd.DataFrame(rows, columns=["text", "label"])
    start = time.perf_counter()
    learn = learner_from_df(df, model="minilm", path=tmp_path, valid=0.3)
    ladder = learn.fit_gradual(gradual_unfreezing(8, layers=(0, 4), epochs=(1, 3), lr=1e-3))
    assert learn.model.head.pooling == "mean" and len(learn.groups) == 8
    assert ladder["accuracy"].iloc[-1] >= ladder["accuracy"].iloc[0] + 0.2 and time.perf_counter() - start < 200


def test_only_what_trains_has_gradients_and_optimizer_state(make, reviews):
    learn = make(reviews)
    for phase in gradual_unfreezing(4, layers=(0, 1, -1), epochs=(1, 1, 1), lr=1e-3):
        learn.fit_gradual([phase])
        training = {id(p) for p in learn.model.parameters() if p.requires_grad}
        stepped = {id(p) for p in learn.opt.opt.state}
        assert stepped == (set() if phase.head == "solved" else training)
    table = learn.model.encoder.body.embeddings.word_embeddings.weight
    assert table in learn.opt.opt.state  # the last phase trained everything
    learn.fit_gradual([Phase("head", 3, 1, 1e-3)])
    assert table not in learn.opt.opt.state and table.grad is None
