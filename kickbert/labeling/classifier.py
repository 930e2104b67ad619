"""The model behind the page: logistic regression on sentence embeddings, fitted anew after every few labels."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from kickbert.evaluation.explanation import Explanation
from kickbert.targets.kinds import MULTI, ORDINAL, median_class

C = 10.0  # inverse of the L2 penalty's weight: best or nearly so from 8 to 500 labels on normalised embeddings
FOLDS = 20  # of fewer, each fold's model had noticeably fewer labels than the one that is judged
LEAST = 1e-9  # probability that the logarithm takes for zero
MOST_WORDS = 60  # of a text whose words are weighed: each costs an embedding


def label_codes(labels: Sequence[str | list[str]], classes: Sequence[str], task: str) -> np.ndarray:
    """Labels as class numbers, int64, shape (n,); of several labels zeros and ones, shape (n, classes).

    >>> label_codes([["b"], []], ["a", "b"], "multi-label")
    array([[0, 1],
           [0, 0]])
    """
    place = {name: i for i, name in enumerate(classes)}
    if task != MULTI:
        return np.array([place[label] for label in labels], dtype=np.int64)
    codes = np.zeros((len(labels), len(classes)), dtype=np.int64)
    for row, names in zip(codes, labels, strict=True):
        row[[place[name] for name in names]] = 1
    return codes


class EmbeddingClassifier:
    """Probabilities of classes from embeddings, by L2-regularised logistic regression.

    Args:
        task: "single label", "multi-label" (a regression for each label) or "ordinal".
        classes: how many there are; those without a label yet get probability zero.
    """

    def __init__(self, task: str, classes: int):
        self.task, self.classes = task, classes

    def can_fit(self, codes: np.ndarray) -> bool:
        """Whether there is anything to tell apart: two classes, or a label that some rows have and some have not."""
        return len(codes) > 1 and bool((codes != codes[0]).any())

    def fit(self, embeddings: np.ndarray, codes: np.ndarray) -> "EmbeddingClassifier":
        """Fit to labels.

        Args:
            embeddings: normalised, shape (n, width).
            codes: of `label_codes`; two different ones at least.
        """
        columns = codes.T if codes.ndim == 2 else [codes]
        self.regressions = [_regression(embeddings, column) for column in columns]
        return self

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Probabilities, float64, shape (n, classes)."""
        if self.task == MULTI:
            columns = [_class_probabilities(r, embeddings, 2)[:, 1] for r in self.regressions]
            return np.stack(columns, axis=1)
        return _class_probabilities(self.regressions[0], embeddings, self.classes)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Codes of the predicted labels, as in `label_codes`: the likeliest class, on a scale the median."""
        if self.task == MULTI:
            return (probabilities >= 0.5).astype(np.int64)
        return median_class(probabilities) if self.task == ORDINAL else probabilities.argmax(axis=1)


def _regression(embeddings: np.ndarray, codes: np.ndarray) -> LogisticRegression | int:
    """A fitted regression, or the only class that there is."""
    if (codes == codes[0]).all():
        return int(codes[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=C, max_iter=200).fit(embeddings, codes)


def _class_probabilities(regression: LogisticRegression | int, embeddings: np.ndarray, classes: int) -> np.ndarray:
    probabilities = np.zeros((len(embeddings), classes))
    if isinstance(regression, int):
        probabilities[:, regression] = 1
    else:
        probabilities[:, regression.classes_] = regression.predict_proba(embeddings)
    return probabilities


def out_of_fold(model: EmbeddingClassifier, embeddings: np.ndarray, codes: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probabilities of each row by a model that was not fitted on it, float64, shape (n, classes); in folds.

    Args:
        model: says task and classes; it is not fitted itself.
    """
    probabilities = np.zeros((len(codes), model.classes))
    for training, held in KFold(min(FOLDS, len(codes)), shuffle=True, random_state=seed).split(embeddings):
        fold = EmbeddingClassifier(model.task, model.classes).fit(embeddings[training], codes[training])
        probabilities[held] = fold.predict_proba(embeddings[held])
    return probabilities


def word_importance(
    text: str, name: str, code: int, predict: Callable[[list[str]], np.ndarray], most: int = MOST_WORDS
) -> Explanation:
    """What each word adds to the logarithm of a class's probability, by erasure (Li, Monroe and Jurafsky 2016, sec. 3).

    Args:
        text: its first `most` words are weighed.
        name, code: of the class.
        predict: probabilities of texts, shape (n, classes).
    """
    words = text.split()
    erased = [" ".join(words[:i] + words[i + 1 :]) for i in range(min(len(words), most))]
    probabilities = predict([" ".join(words), *erased])[:, code]
    logarithms = np.log(np.clip(probabilities, LEAST, 1))
    return Explanation(words[:most], logarithms[0] - logarithms[1:], name, float(probabilities[0]), "erasure")
