"""Long documents in windows, pooled to one prediction, with and without the cache."""

import numpy as np
import pandas as pd
import pytest

from kickbert import Cache


@pytest.fixture
def letters() -> pd.DataFrame:
    """Long texts whose label depends on the last words; every fifth is short."""
    rng = np.random.default_rng(0)
    filler = ["a bright film", "a dull film", "this story", "no fun", "great acting"]
    rows = []
    for i in range(60):
        label = ("good", "bad")[i % 2]
        words = rng.choice(filler, 1 if i % 5 == 0 else rng.integers(3, 12)).tolist()
        rows.append((" ".join([*words, "I loved it" if label == "good" else "I hated it"]), label))
    return pd.DataFrame(rows, columns=["text", "label"])


WINDOWS = {"long": "windows", "max_length": 16, "stride": 4}


def test_one_prediction_per_document(make, letters):
    learn = make(letters, **WINDOWS)
    learn.fit_gradual()
    predicted = learn.predict_df(letters)
    assert len(predicted) == len(letters) and predicted["predicted_label"].isin(["good", "bad"]).all()
    alone = pd.concat([learn.predict_df(letters.iloc[[i]]) for i in (0, 1, 7)])
    together = predicted.loc[alone.index]
    assert np.allclose(alone.filter(like="prob_"), together.filter(like="prob_"), atol=1e-5)
    assert learn.predict(letters["text"][1])[0] == predicted["predicted_label"][1]


@pytest.mark.parametrize("freeze_to", [0, 2, 3])
def test_losses_are_equal_with_and_without_the_cache(make, letters, freeze_to):
    losses = []
    for cache in (False, Cache()):
        learn = make(letters, **WINDOWS, cache=cache, dropout=0.0)
        learn.freeze_to(freeze_to)
        learn.fit_one_cycle(2, 1e-3)
        losses.append(learn.recorder.losses)
    assert np.allclose(losses[0], losses[1], atol=1e-5)
    assert len(learn.cache.info()) == (0 if freeze_to == 0 else 1)


def test_windows_are_stored_once(make, letters):
    learn = make(letters, **WINDOWS, cache=Cache())
    learn.freeze()
    learn.fit_one_cycle(1, 1e-3)
    windows = {key for dl in learn.dls.loaders for key in dl.rows[0].keys}
    assert learn.cache.info()["rows"].tolist() == [len(windows)]


def test_multi_label_targets_of_long_documents(make, letters):
    df = letters.assign(label=[["good", "long"] if "loved" in t and len(t) > 60 else ["bad"] for t in letters["text"]])
    learn = make(df, **WINDOWS)
    learn.fit_gradual()
    assert set(map(len, learn.predict_df(df)["predicted_label"])) <= {0, 1, 2, 3}


def test_show_batch(make, letters, capsys):
    learn = make(letters, **WINDOWS)
    learn.dls.valid.show_batch(max_n=3)  # longest first
    assert max((row.text for row in learn.dls.valid_ds.items), key=len)[:20] in capsys.readouterr().out
