"""A learner shows its rows, and says so where it has none."""

import numpy as np
import pytest
from fastai.callback.mixup import CutMix, MixUp
from fastai.callback.progress import CSVLogger
from fastai.interpret import Interpretation
from fastai.learner import load_learner

NEEDS_VALIDATION = {
    "validate": lambda learn: learn.validate(),
    "show_results": lambda learn: learn.show_results(),
    "tune_thresholds": lambda learn: learn.tune_thresholds(),
}
NEEDS_ROWS = NEEDS_VALIDATION | {
    "get_preds": lambda learn: learn.get_preds(),
    "get_preds of training rows": lambda learn: learn.get_preds(ds_idx=0),
    "interpretation": Interpretation.from_learner,
}
NEEDS_TRAINING = {
    "show_batch": lambda learn: learn.show_batch(),
    "fit": lambda learn: learn.fit(1),
    "fine_tune": lambda learn: learn.fine_tune(1),
    "fit_gradual": lambda learn: learn.fit_gradual(),
    "fit_few": lambda learn: learn.fit_few(),
    "lr_find": lambda learn: learn.lr_find(show_plot=False),
}


@pytest.fixture
def loaded(make, reviews, tmp_path):
    make(reviews).export(tmp_path / "learn.pkl")
    return load_learner(tmp_path / "learn.pkl")


@pytest.mark.parametrize("name", NEEDS_ROWS)
def test_an_exported_learner_says_that_it_has_no_rows(loaded, name):
    with pytest.raises(ValueError, match=r"was loaded without its rows.*pass dl=learn\.dls\.test_dl\(df, with_labels"):
        NEEDS_ROWS[name](loaded)


@pytest.mark.parametrize("name", NEEDS_TRAINING)
def test_an_exported_learner_cannot_train(loaded, name):
    with pytest.raises(ValueError, match=r"was loaded without its rows.*make a learner with learner_from_df"):
        NEEDS_TRAINING[name](loaded)


def test_an_exported_learner_takes_rows(loaded, reviews, capsys):
    assert "none: loaded without its rows" in repr(loaded)
    with pytest.raises(ValueError, match="there are no rows here; export leaves them out"):
        loaded.dls.show_batch()
    dl = loaded.dls.test_dl(reviews, with_labels=True)
    assert len(loaded.validate(dl=dl)) == 3 and len(loaded.predict_df(reviews)) == 120
    loaded.show_results(dl=dl, max_n=2)
    dl.show_batch(max_n=2)
    assert " no 1" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"no targets to compare.*test_dl\(df, with_labels=True\)"):
        loaded.show_results(dl=loaded.dls.test_dl(reviews))


@pytest.mark.parametrize("name", NEEDS_VALIDATION)
def test_a_learner_without_validation_rows_says_so(make, reviews, name):
    learn = make(reviews.assign(label=[[label] for label in reviews["label"]]), valid=0, task="multi-label")
    learn.fit(1, 1e-3)
    with pytest.raises(ValueError, match="there are no validation rows"):
        NEEDS_VALIDATION[name](learn)


def test_show_batch_is_of_training_rows(make, reviews, capsys):
    learn = make(reviews)
    for part, dataset in enumerate((learn.dls.train_ds, learn.dls.valid_ds)):
        learn.show_batch(ds_idx=part, max_n=3)
        shown = {line.rsplit(maxsplit=1)[0].strip() for line in capsys.readouterr().out.splitlines()[-3:]}
        assert shown <= {row.text for row in dataset.items}


def _cases(df):
    number = np.arange(len(df))
    yield "one label", df, {}
    yield (
        "several labels",
        df.assign(label=[[name, "x"] if i % 3 else [name] for i, name in enumerate(df["label"])]),
        {},
    )
    yield "ordered", df.assign(label=number % 7 + 0.5), {"bins": 3}
    yield "number", df.assign(label=number * 1.5), {"task": "regression"}
    yield "two columns", df.assign(name=[f"Name {i}" for i in number]), {"text_col": ["name", "text"]}
    yield "cleaned", df, {"cleaning": ["remove_html", str.lower]}
    yield "truncated", df, {"max_length": 24}
    yield "windows", df, {"long": "windows", "max_length": 16, "stride": 4}


@pytest.mark.parametrize("case", range(8))
def test_displays_show_the_original_text_with_both_labels(make, reviews, capsys, monkeypatch, case):
    monkeypatch.setenv("COLUMNS", "300")
    texts = [f"{i} ÉCLAIR <b>{text}</b>" for i, text in enumerate(reviews["text"])]
    name, df, options = list(_cases(reviews.assign(text=texts)))[case]
    learn = make(df, **options)
    learn.freeze()
    learn.fit(1, 1e-3)  # on cached states
    expected = {}
    for _, row in df.iterrows():
        text = f"{row['name']} | {row['text']}" if "name" in df else row["text"]
        expected[text] = str(row["label"]) if name != "number" else f"{row['label']:g}"
    interpretation = Interpretation.from_learner(learn)
    for show in (
        lambda: learn.show_batch(max_n=3),
        lambda: learn.show_results(max_n=3),
        lambda: learn.show_results(ds_idx=0, max_n=3),
        lambda: learn.show_results(dl=learn.dls.test_dl(df.sample(9, random_state=1), with_labels=True), max_n=3),
        lambda: interpretation.plot_top_losses(3),
        lambda: interpretation.show_results([2, 0, 5]),
    ):
        capsys.readouterr()
        show()
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        header = next(i for i, line in enumerate(lines) if line.startswith("text"))
        assert len(lines) == header + 4
        for line in lines[header + 1 :]:
            text = next((text for text in expected if line.startswith(text)), None)
            assert text is not None, line
            if name != "ordered":  # shown by its bucket
                assert line[len(text) :].split(maxsplit=expected[text].count(" ") + 1)[0][:3] == expected[text][:3]


@pytest.mark.parametrize("mixer", [MixUp(), CutMix])
def test_mixed_rows_are_refused(make, reviews, mixer):
    learn = make(reviews)
    loss = learn.loss_func
    with pytest.raises(ValueError, match=r"(MixUp|CutMix) mixes the inputs of two rows.*augment=kickbert\.text\.EDA"):
        learn.fit(1, 1e-3, cbs=mixer)
    assert learn.loss_func is loss


def test_epochs_are_counted_alike_everywhere(make, reviews, tmp_path, capsys):
    learn = make(reviews)
    capsys.readouterr()
    learn.fit(3, 0.0, cbs=CSVLogger())
    out = capsys.readouterr().out
    numbers = [line.split(",")[0] for line in (tmp_path / "history.csv").read_text().splitlines()[1:]]
    assert numbers == ["1", "2", "3"] and len(learn.recorder.values) == 3
    assert [line.split()[1] for line in out.splitlines() if line.startswith("epoch ")] == numbers
