"""The model behind the page: logistic regression on sentence embeddings, refitted after every few labels."""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.model_selection import KFold

from kickbert.evaluation.explanation import Explanation
from kickbert.evaluation.occlusion import occlusion_scores
from kickbert.models.logistic_regression import fit_logistic
from kickbert.targets.kinds import target_class

C = 10.0  # inverse L2 strength: best or nearly so from 8 to 500 labels on normalized embeddings
FOLDS = 20  # with fewer folds, each fold's model has noticeably fewer labels than the final one
MAX_WORDS = 60  # words explained per text: each costs an embedding


def label_codes(labels: Sequence[str | list[str] | None], classes: Sequence[str], task: str) -> np.ndarray:
    """Convert labels to class numbers.

    Args:
        labels: One name per row; a list of names per row for several labels.
        classes: Class names in the order of their numbers.
        task: "single label", "multi-label" or "ordinal".
    Returns:
        Class numbers, int64, shape (n,); for several labels zeros and ones, shape (n, classes).

    >>> label_codes([["b"], []], ["a", "b"], "multi-label")
    array([[0, 1],
           [0, 0]])
    """
    number = {name: i for i, name in enumerate(classes)}
    rows = [[label] if isinstance(label, str) else label or [] for label in labels]
    if not target_class(task).is_multilabel:
        return np.array([number[name] for (name,) in rows], dtype=np.int64)
    codes = np.zeros((len(rows), len(classes)), dtype=np.int64)
    for row, names in zip(codes, rows, strict=True):
        row[[number[name] for name in names]] = 1
    return codes


class EmbeddingClassifier:
    """Predict class probabilities from embeddings by L2-regularized logistic regression.

    Args:
        task: "single label", "multi-label" (one regression per label) or "ordinal".
        classes: Number of classes. A class without labels gets a probability near zero.
    """

    def __init__(self, task: str, classes: int):
        self.task = task
        self.kind = target_class(task)
        self.classes = classes

    def can_fit(self, codes: np.ndarray) -> bool:
        """Tell whether the labels differ, so that there is something to learn."""
        return len(codes) > 1 and bool((codes != codes[0]).any())

    def fit(self, embeddings: np.ndarray, codes: np.ndarray) -> "EmbeddingClassifier":
        """Fit to labels.

        Args:
            embeddings: Normalized embeddings, shape (n, width).
            codes: Labels from `label_codes`.
        """
        self.weights, self.biases = fit_logistic(embeddings, codes, self.classes, C)
        return self

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Predict probabilities, float64, shape (n, classes)."""
        logits = embeddings @ self.weights.T + self.biases
        return self.kind.activate(logits)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Choose labels, coded as in `label_codes`: the likeliest class, or the median class on a scale."""
        return self.kind.decide(probabilities).astype(np.int64)


def out_of_fold(model: EmbeddingClassifier, embeddings: np.ndarray, codes: np.ndarray, seed: int = 0) -> np.ndarray:
    """Predict each row by a model that was not fitted on it.

    Args:
        model: Supplies the task and the number of classes; it is not fitted itself.
        embeddings: Normalized embeddings, shape (n, width).
        codes: Labels from `label_codes`.
        seed: Seed of the folds.
    Returns:
        Probabilities, float64, shape (n, classes).
    """
    probabilities = np.zeros((len(codes), model.classes))
    for training, held_out in KFold(min(FOLDS, len(codes)), shuffle=True, random_state=seed).split(embeddings):
        fold = EmbeddingClassifier(model.task, model.classes).fit(embeddings[training], codes[training])
        probabilities[held_out] = fold.predict_proba(embeddings[held_out])
    return probabilities


def explain_words(
    text: str, name: str, code: int, predict: Callable[[list[str]], np.ndarray], max_words: int = MAX_WORDS
) -> Explanation:
    """Explain a suggestion by leaving out each word in turn (Li, Monroe and Jurafsky 2016, section 3).

    Args:
        text: Its first `max_words` words are scored.
        name: Name of the class.
        code: Number of the class.
        predict: Texts → probabilities, shape (n, classes).
        max_words: Maximum number of words.
    """
    words = text.split()
    shortened = [" ".join(words[:i] + words[i + 1 :]) for i in range(min(len(words), max_words))]
    probs = predict([" ".join(words), *shortened])[:, code]
    return Explanation(words[:max_words], occlusion_scores(probs), name, float(probs[0]), "occlusion")
