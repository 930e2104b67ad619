"""Progress of labeling: an unbiased sample, planted mistakes, and when to stop."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.topics import WORDS, embed, topics
from sklearn.preprocessing import normalize

from kickbert.labeling.assessment import (
    assess,
    class_counts,
    people_agreement,
    random_sample,
    suggestion_agreement,
)
from kickbert.labeling.classifier import EmbeddingClassifier, label_codes, out_of_fold
from kickbert.labeling.database import Label, Row, content_key
from kickbert.targets.label_noise import suspected_errors


def codes(df) -> np.ndarray:
    return label_codes(df["label"].tolist(), list(WORDS), "single label")


def label(row: int, name, strategy="entropy", suggestion=None, shown=False) -> Label:
    return Label(row, row, name, "anna", "", None, suggestion and {"label": suggestion}, shown, None, strategy)


def test_the_random_sample_includes_rows_that_a_strategy_chose_first():
    rows = [Row(i, key, i, ("a",)) for i, key in enumerate("abcdef")]
    labels = [label(0, "x", "random"), label(1, "x"), label(3, None, "random"), label(2, "x"), label(5, "x")]
    assert random_sample(rows, labels) == {0, 1, 2}  # up to the key "d"; the skipped row has no label
    assert random_sample(rows, [label(5, "x")]) == set()


def test_random_texts_give_an_unbiased_estimate_and_chosen_texts_do_not():
    """The estimate is close to the accuracy on new texts; on the texts that a strategy chose it is lower."""
    names, model = list(WORDS), EmbeddingClassifier("single label", 4)
    parts = [topics(2_000, seed=seed, topic_words=3) for seed in (13, 14)]
    (x, y), (new_x, new_y) = ((normalize(embed(df["text"].tolist())), codes(df)) for df in parts)
    keys = [content_key([text]) for text in parts[0]["text"]]
    order = np.argsort(keys).tolist()  # random draws take the first unlabeled ones
    labeled = order[:20]
    drawn_last, fitted = order[19], model.fit(x[labeled], y[labeled])
    while len(labeled) < 200:
        top = np.sort(fitted.predict_proba(x), axis=1)
        chosen = [int(i) for i in np.argsort(top[:, -1] - top[:, -2]) if i not in labeled][:16]
        drawn = [i for i in order if i not in labeled and i not in chosen][:4]
        labeled, drawn_last = [*labeled, *chosen, *drawn], drawn[-1]
        fitted = model.fit(x[labeled], y[labeled])
    rows = [Row(i, key, i, ("a",)) for i, key in enumerate(keys)]
    labels = [label(i, names[y[i]], "random" if i == drawn_last else "entropy") for i in labeled]
    sample = random_sample(rows, labels)
    assessment = assess(model, x[labeled], y[labeled], labels, names, sample)
    truth = (fitted.predict_proba(new_x).argmax(1) == new_y).mean()
    right = model.decide(out_of_fold(model, x[labeled], y[labeled])) == y[labeled]
    assert assessment.low <= truth <= assessment.high and assessment.judged >= 50
    assert right[[i not in sample for i in labeled]].mean() < truth - 0.1


def test_planted_mistakes_are_found():
    df = topics(300, seed=4, topic_words=6)
    x, y = normalize(embed(df["text"].tolist())), codes(df)
    wrong = [10, 20, 30, 40]
    y[wrong] = (y[wrong] + 1) % 4
    model = EmbeddingClassifier("single label", 4)
    assert len(set(suspected_errors(out_of_fold(model, x, y), y)[:8]) & set(wrong)) >= 3
    labels = [label(i, list(WORDS)[code]) for i, code in enumerate(y)]
    listed = assess(model, x, y, labels, list(WORDS), set(range(300))).suspicions
    assert set(wrong) & {s.row for s in listed} and all(s.label != s.predicted for s in listed)
    assert 10 not in [s.row for s in assess(model, x, y, labels, list(WORDS), set(), {10}).suspicions]
    several = np.eye(4, dtype=int)[y]
    model = EmbeddingClassifier("multi-label", 4)
    assert len(set(suspected_errors(out_of_fold(model, x, several), several)[:8]) & set(wrong)) >= 3


def test_few_labels_are_not_judged_and_a_stop_is_suggested_when_nothing_changes():
    df = topics(200, seed=6, topic_words=6)
    x, y = normalize(embed(df["text"].tolist())), codes(df)
    names, model = list(WORDS), EmbeddingClassifier("single label", 4)
    labels = [label(i, names[code]) for i, code in enumerate(y)]
    few = assess(model, x, y, labels, names, set(range(5)))
    assert (few.judged, few.accuracy, few.forecast, few.stop) == (5, None, None, None)
    some = assess(model, x[:60], y[:60], labels[:60], names, set(range(29)), predictions=[y, y, y])
    assert some.accuracy is not None and some.low < some.accuracy <= some.high
    assert (some.forecast, some.stop) == (None, None)  # 29 texts are too few
    some = assess(model, x[:60], y[:60], labels[:60], names, set(range(30)))
    assert some.forecast.accuracies[-1] == some.accuracy  # the curve ends at the reported accuracy
    all_of_them = assess(model, x, y, labels, names, set(range(200)), predictions=[y, y, y])
    assert all_of_them.stop == "The last three models agree on nearly all texts."
    moving = assess(model, x, y, labels, names, set(range(200)), predictions=[y, y[::-1], y])
    assert moving.stop == "50 more labels are expected to gain less than half a point of accuracy."


def test_counts():
    labels = [label(0, "a"), label(1, "a"), label(2, "b")]
    assert class_counts(labels, ["a", "b", "c"]) == {"a": 2, "b": 1, "c": 0}
    assert class_counts([label(0, ["a", "b"]), label(1, [])], ["a", "b"]) == {"a": 1, "b": 1}


@pytest.mark.parametrize("shown", [True, False])
def test_agreement_with_suggestions(shown):
    kind = "shown" if shown else "hidden"
    labels = [label(0, "a", suggestion="a", shown=shown), label(1, "b", suggestion="a", shown=shown), label(2, "a")]
    assert suggestion_agreement(labels)[kind] == (1, 2)


def test_agreement_counts_the_first_label_of_a_row():
    first = label(0, "b", suggestion="a")
    reviewed = replace(first, id=9, label="a")  # changed in the list of labels that look wrong
    assert suggestion_agreement([first, reviewed]) == {"shown": (0, 0), "hidden": (0, 1)}


def test_agreement_of_people():
    anna, ben = label(0, "a"), replace(label(0, "a"), who="ben")
    assert people_agreement([anna, label(1, "a")]) == (0, 0)
    assert people_agreement([anna, ben]) == (1, 1)
    assert people_agreement([anna, ben, replace(ben, label="b"), label(1, "c"), replace(label(1, "c"), who="ben")]) == (
        1,
        2,
    )
