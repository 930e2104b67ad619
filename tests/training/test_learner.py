import os
import pickle
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.schedule import minimum, valley
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.callback.training import GradientAccumulation, GradientClip
from fastai.interpret import ClassificationInterpretation

from kickbert import Cache, Phase, gradual_unfreezing, learner_from_df
from kickbert.text import EDA


def test_the_ladder_has_a_row_per_phase(make, reviews):
    ladder = make(reviews).fit_gradual()
    assert ladder["phase"].tolist() == ["head", "last 2 layers"]
    assert ladder["trainable"].tolist() == [66, 66 + 2 * 8_544]
    assert {"epochs", "lr", "seconds", "train_loss", "valid_loss", "accuracy", "f1_score"} <= set(ladder.columns)


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


def test_rates_follow_the_shape_of_the_phase(make, reviews):
    learn = make(reviews)
    phase = Phase("head", 3, 2, 1e-2, shape="triangle", warmup=0.2)
    learn.fit_gradual([phase])
    steps = 2 * len(learn.dls.train)
    assert learn.recorder.hps["lr"] == pytest.approx([1e-2 * phase.factor(i / steps) for i in range(steps)])


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


RUN = """
import sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd, kickbert, torch
from fastai.callback.training import GradientClip

def shout(text):
    return text.upper()

def loss(logits, targets):
    return torch.nn.functional.cross_entropy(logits, targets)

df = pd.read_csv(sys.argv[2])
how = {"cleaning": [shout], "loss": loss, "cbs": [GradientClip(1.0)]}
learn = kickbert.learner_from_df(df, model=sys.argv[1], path=sys.argv[3], precision="fp32", bs=8, **how)
phases = kickbert.gradual_unfreezing(4, layers=(0, 1, 2), epochs=(1, 40, 2), lr=1e-3)
ladder = learn.fit_gradual(phases, resume="resume" in sys.argv)
ladder.drop(columns="seconds").to_csv(sys.argv[4])
torch.save(learn.model.state_dict(), sys.argv[4] + ".pt")
"""


def run(tiny, csv, folder, out, *more):
    command = [sys.executable, "-u", "-c", RUN, tiny, str(csv), str(folder), str(out), *more]
    env = os.environ | {"OMP_NUM_THREADS": "1"}  # they run side by side, and the model is tiny
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def test_a_killed_run_resumes_at_its_phase_and_ends_as_if_never_killed(tiny, reviews, tmp_path):
    csv = tmp_path / "reviews.csv"
    reviews.to_csv(csv, index=False)
    whole = run(tiny, csv, tmp_path / "whole", tmp_path / "whole.csv")
    killed = run(tiny, csv, tmp_path / "killed", tmp_path / "killed.csv")
    for line in killed.stdout:
        if line.startswith("2/3 last layer  epoch 3"):
            killed.send_signal(signal.SIGKILL)
            break
    assert killed.wait(60) == -signal.SIGKILL and not (tmp_path / "killed.csv").exists()
    resumed = run(tiny, csv, tmp_path / "killed", tmp_path / "killed.csv", "resume")
    told = resumed.communicate(timeout=120)[0]
    assert (
        told.splitlines()[1] == "resuming after 1 of 3 phases"
        and "1/3 head" not in told
        and "2/3 last layer  epoch 1" in told
    )
    whole.communicate(timeout=120)
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "killed.csv").read_text()
    weights = [torch.load(tmp_path / f"{name}.csv.pt") for name in ("whole", "killed")]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_resuming_what_is_done_or_never_began(make, reviews, capsys):
    learn = make(reviews)
    ladder = learn.fit_gradual(resume=True)
    assert "no checkpoint at" in capsys.readouterr().out
    again = make(reviews)
    assert again.fit_gradual(resume=True).equals(ladder) and "after 2 of 2 phases" in capsys.readouterr().out
    assert torch.equal(again.model.head.classifier.weight, learn.model.head.classifier.weight)
    with pytest.raises(ValueError, match="of a run with other rows; give the same again, or start afresh"):
        make(reviews.iloc[:100]).fit_gradual(resume=True)


def test_an_interrupted_cell_resumes_from_the_weights_of_its_last_phase(make, reviews):
    """In a notebook the weights of the broken phase are still in memory; they must not leak into the resumed run."""

    class Interrupt(Callback):
        armed = True

        def after_epoch(self):
            if self.armed and self.learn.phase_title.startswith("2/2") and self.epoch == 1:
                self.armed = False
                raise KeyboardInterrupt

    interrupt = Interrupt()
    phases = gradual_unfreezing(4, layers=(0, 2), epochs=(1, 3), lr=1e-3)
    whole = make(reviews)
    ladder = whole.fit_gradual(phases).drop(columns="seconds")
    learn = make(reviews, path=whole.path / "other")
    with pytest.raises(KeyboardInterrupt):
        learn.fit_gradual(phases, cbs=[interrupt])
    assert learn.fit_gradual(phases, resume=True, cbs=[interrupt]).drop(columns="seconds").equals(ladder)
    assert all(torch.equal(a, b) for a, b in zip(learn.model.parameters(), whole.model.parameters(), strict=True))


def test_predict_df_is_indexed_like_df(make, reviews):
    learn = make(reviews)
    learn.fit_gradual()
    shuffled = reviews.sample(frac=1, random_state=0)
    out = learn.predict_df(shuffled)
    assert out.index.equals(shuffled.index) and out.columns.tolist() == ["label", "confidence", "prob_bad", "prob_good"]
    assert np.allclose(out[["prob_bad", "prob_good"]].sum(axis=1), 1, atol=1e-5)
    assert (out["confidence"] == out[["prob_bad", "prob_good"]].max(axis=1)).all()
    one_by_one = [learn.predict(text) for text in shuffled["text"][:20]]
    assert [p[0] for p in one_by_one] == out["label"][:20].tolist()
    assert np.allclose([p[2].tolist() for p in one_by_one], out.iloc[:20, 2:].to_numpy(float), atol=1e-5)


def test_predict_df_keeps_every_row(make, reviews):
    learn = make(reviews)
    df = pd.DataFrame({"text": ["fun", None, "bore", 7]}, index=[5, 5, 6, 7], dtype=object)
    with pytest.warns(UserWarning) as told:
        out = learn.predict_df(df)
    messages = [str(w.message) for w in told]
    assert "1 rows have no text and get no label: rows [5]" in messages
    assert out.index.tolist() == [5, 5, 6, 7] and out["label"].isna().tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match="text_col='text' is not a column of df; columns are"):
        learn.predict_df(pd.DataFrame({"txt": ["a"]}))


def test_labels_keep_their_type(make, reviews):
    learn = make(reviews.assign(label=(reviews["label"] == "good").astype(int)))
    assert set(learn.predict_df(reviews)["label"]) <= {0, 1}


def test_bins_have_ranges_and_kappa(make, reviews):
    df = reviews.assign(pledged=np.arange(120) * 100.0)
    learn = make(df, label_col="pledged", bins=4, bin_format="$")
    ladder = learn.fit_gradual()
    assert "cohen_kappa_score" in ladder.columns
    assert learn.predict_df(df)["label"].str.startswith(("$", "under $")).all()


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
    found = learn.lr_find(suggest_funcs=(minimum, valley), show_plot=False, num_it=20)
    assert 0 < found.minimum <= 10 and 0 < found.valley <= 10
    learn.fit_flat_cos(1, 1e-4)
    assert len(learn.validate()) == 3
    probs, targets = learn.get_preds()
    assert probs.shape == (18, 2) and targets.shape == (18,)
    capsys.readouterr()
    learn.show_results(max_n=2)
    assert capsys.readouterr().out.splitlines()[0].split() == ["text", "target", "predicted"]


def test_fine_tune_has_smaller_rates_for_deeper_groups(make, reviews):
    learn = make(reviews)
    learn.fine_tune(1, base_lr=1e-3, decay=0.5)
    rates = [h["lr"] for h in learn.opt.hypers]
    assert rates[0] == pytest.approx(rates[-1] / 8) and learn.groups["trainable"].all()


def test_fastais_callbacks_work(make, reviews):
    learn = make(reviews)
    learn.fit(3, 1e-3, cbs=[SaveModelCallback(monitor="accuracy"), EarlyStoppingCallback(patience=1)])
    learn.save("here")
    weights = learn.model.head.classifier.weight.clone()
    torch.nn.init.zeros_(learn.model.head.classifier.weight)
    learn.load("here")
    assert torch.equal(learn.model.head.classifier.weight, weights)


FRESH = """
import pickle, sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd
file, exported = sys.argv[1], sys.argv[1].endswith(".export")
if exported:
    from fastai.learner import load_learner
    learn = load_learner(file)
else:
    learn = pickle.load(open(file, "rb"))
learn.predict_df(pd.read_csv(sys.argv[2])).to_csv(f"{file}.csv")
if not exported:
    learn.fit(1)  # its rows came along
"""


def test_an_exported_and_a_pickled_learner_predict_alike_in_another_process(make, reviews, tmp_path):
    learn = make(reviews)
    learn.fit_gradual()
    learn.export(tmp_path / "learn.export")
    (tmp_path / "learn.pickle").write_bytes(pickle.dumps(learn))
    csv = tmp_path / "reviews.csv"
    reviews.to_csv(csv, index=False)
    files = [tmp_path / "learn.export", tmp_path / "learn.pickle"]
    loading = [
        subprocess.Popen([sys.executable, "-c", FRESH, str(file), str(csv)], stderr=subprocess.PIPE, text=True)
        for file in files
    ]
    for process in loading:
        errors = process.communicate(timeout=200)[1]
        assert process.returncode == 0, errors
    learn.predict_df(reviews).to_csv(tmp_path / "expected.csv")
    for file in files:
        assert file.with_name(file.name + ".csv").read_text() == (tmp_path / "expected.csv").read_text()


@pytest.mark.parametrize(
    "how",
    [
        {"label_col": "many"},
        {"label_col": "amount", "bins": 2},
        {"label_col": "amount", "task": "regression"},
        {"augment": EDA(each_epoch=True), "optimizer": "adafactor", "loss": "focal", "sampling": "balanced"},
        {"long": "windows", "max_length": 12, "stride": 2, "pooling": "mean", "cleaning": "auto", "cache": Cache()},
    ],
)
def test_every_kind_of_learner_can_be_pickled(make, reviews, how):
    many = [["a", "b"][: 1 + i % 2] for i in range(len(reviews))]
    df = reviews.assign(many=many, amount=np.arange(len(reviews)) * 1.0)
    learn = make(df, **how)
    learn.fit(1)
    again = pickle.loads(pickle.dumps(learn))
    assert again.predict_df(df).equals(learn.predict_df(df))
    again.fit(1)


def test_interpretation_names_the_right_rows(make, reviews, capsys):
    learn = make(reviews)
    learn.fit_gradual()
    found = ClassificationInterpretation.from_learner(learn)
    assert found.confusion_matrix().sum() == 18
    losses, rows = found.top_losses(5)
    items = [learn.dls.valid_ds.items[i] for i in rows]
    probs = learn.predict_df(pd.DataFrame({"text": [row.text for row in items]}))
    expected = [-np.log(probs.iloc[i][f"prob_{row.target}"]) for i, row in enumerate(items)]
    assert np.allclose(losses, np.array(expected, dtype=float), atol=1e-4)
    capsys.readouterr()
    found.plot_top_losses(5)
    shown = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[-4] for line in shown] == [row.target for row in items]
    assert [float(line.split()[-1]) for line in shown] == pytest.approx(losses.tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"max_length": 65}, "max_length=65 is not between 3 and 64"),
        ({"pooling": "avg"}, "pooling='avg' is not one of"),
        ({"precision": "fp8"}, "precision='fp8' is not one of"),
        ({"model": "./nowhere"}, "is not a folder here"),
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
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        learner_from_df(reviews, model=tiny, path=tmp_path).fit_gradual()
    ours = [str(w.message) for w in told if issubclass(w.category, UserWarning)]
    assert ours == []


@pytest.mark.slow
def test_minilm_learns_a_sentiment_that_its_frozen_states_do_not_show(minilm, tmp_path):
    """Real weights, real tokenizer: unfreezing the last layers beats the head alone on negated praise."""
    praise, scorn = (
        ["lovely", "superb", "moving", "clever", "charming"],
        ["dreary", "clumsy", "stale", "hollow", "crude"],
    )
    things = ["plot", "score", "cast", "ending", "script", "pace", "humour", "camera work"]
    rows = []
    for thing in things:
        for good, bad in zip(praise, scorn, strict=True):
            rows += [(f"the {thing} is {good}, never {bad}", 1), (f"the {thing} is {bad}, never {good}", 0)]
            rows += [(f"no {bad} {thing} here, only a {good} one", 1), (f"no {good} {thing} here, only a {bad} one", 0)]
    df = pd.DataFrame(rows, columns=["text", "label"])
    start = time.perf_counter()
    learn = learner_from_df(df, model="minilm", path=tmp_path, valid=0.3)
    ladder = learn.fit_gradual(gradual_unfreezing(8, layers=(0, 4), epochs=(1, 6), lr=(2e-3, 1e-3)))
    assert learn.model.head.pooling == "mean" and len(learn.groups) == 8
    assert ladder["accuracy"].iloc[-1] >= ladder["accuracy"].iloc[0] + 0.1 and time.perf_counter() - start < 200


def test_only_what_trains_has_gradients_and_optimizer_state(make, reviews):
    learn = make(reviews)
    for phase in gradual_unfreezing(4, layers=(0, 1, -1), epochs=(1, 1, 1), lr=1e-3):
        learn.fit_gradual([phase])
        training = {id(p) for p in learn.model.parameters() if p.requires_grad}
        assert {id(p) for p in learn.opt.opt.state} == training
    table = learn.model.encoder.body.embeddings.word_embeddings.weight
    assert table in learn.opt.opt.state  # the last phase trained everything
    learn.fit_gradual([Phase("head", 3, 1, 1e-3)])
    assert table not in learn.opt.opt.state and table.grad is None
