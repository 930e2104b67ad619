"""Occlusion: how much a prediction loses when a word is masked or left out. It needs only predictions.

text → the text without each of its words → probabilities → `Explanation`
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from kickbert.evaluation.explanation import Explanation, class_number, explained_value
from kickbert.tabular.column_model import ColumnEffects
from kickbert.targets.base import Target
from kickbert.text.tokenization import TokenEncoder

MIN_PROBABILITY = 1e-9  # lower bound before taking the logarithm


def occlusion(
    text: str,
    label: Any,
    predict: Callable[[list[np.ndarray]], np.ndarray],
    *,
    target: Target,
    token_encoder: TokenEncoder,
    mask_id: int,
    columns: ColumnEffects | None = None,
) -> Explanation:
    """Mask each word in turn and score it by the log-probability that the class loses (Zeiler and Fergus 2014).

    Args:
        text: cleaned text with its columns joined, as `read` returns it; text beyond the model's limit is ignored.
        label: the class; None for the most probable one.
        predict: function from rows of token ids to probabilities, shape (rows, classes), or to standardized numbers,
            shape (rows, 1).
        target: target of the model.
        token_encoder: token encoder of the model.
        mask_id: id of the mask token.
        columns: what the columns beside the text add; None without such columns. `predict` leaves it out.
    Returns:
        A score for each word and column; for a number, the change of the standardized number.
    Raises:
        ValueError: an unknown class, or a text without words.
    """
    words, word_of_token = token_encoder.words(text)
    if not words:
        raise ValueError(f"text={text!r} has no words to explain")
    output = None if label is None else class_number(target, label)
    row = token_encoder.encode_batch([text])[0][0]
    masked = np.unique(word_of_token[word_of_token >= 0])
    probs = predict([row, *(np.where(word_of_token == word, mask_id, row) for word in masked)]).astype(float)
    emptied = {}
    if columns is not None:
        emptied = {name: columns.shift(target, probs[:1], without=name) for name in columns.effects}
        probs = columns.shift(target, probs)
    if output is None:
        output = int(probs[0].argmax())
    outputs = probs[:, output]
    scores = np.zeros(len(words))
    scores[masked] = outputs[0] - outputs[1:] if target.is_number else occlusion_scores(outputs)
    by_column = {}
    for name, without in emptied.items():
        pair = np.array([outputs[0], without[0, output]])
        by_column[name] = float(pair[0] - pair[1] if target.is_number else occlusion_scores(pair)[0])
    value = explained_value(target, probs[0], output)
    return Explanation(words, scores, target.names[output], value, "occlusion", columns=by_column)


def occlusion_scores(probs: np.ndarray) -> np.ndarray:
    """Score each occluded word by how much the log-probability drops without it.

    Args:
        probs: probability of the class for the whole text, then without each word, shape (1 + words,).
    Returns:
        Scores, float64, shape (words,).
    """
    logs = np.log(np.clip(probs, MIN_PROBABILITY, 1))
    return logs[0] - logs[1:]
