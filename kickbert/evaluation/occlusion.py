"""Occlusion: how much less likely a class is without each word (Zeiler and Fergus 2014). Needs predictions alone.

text → words and token ids → a row with each word masked → probabilities → `Explanation`
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from kickbert.evaluation.explanation import Explanation, class_number, explained_value
from kickbert.targets.kinds import REGRESSION, Target
from kickbert.text.tokenization import TokenEncoder

LEAST = 1e-9  # probability that the logarithm takes for zero


def occlusion(
    text: str,
    label: Any,
    predict: Callable[[list[np.ndarray]], np.ndarray],
    *,
    target: Target,
    token_encoder: TokenEncoder,
    mask_id: int,
) -> Explanation:
    """Mask each word in turn; its score is what that takes from the logarithm of the class's probability.

    Args:
        text: as `read` gives it, columns joined; of a text over the model's limit the head is explained.
        label: the class; None for the likeliest.
        predict: probabilities of rows of token ids, shape (rows, classes); of a number, standardised, shape (rows, 1).
        target: what is predicted.
        token_encoder: of the model.
        mask_id: the token that stands for a masked word.
    Raises:
        ValueError: no such class, or a text without words.
    """
    words, word_of_token = token_encoder.words(text)
    if not words:
        raise ValueError(f"text={text!r} has no words to explain")
    output = None if label is None else class_number(target, label)
    row = token_encoder.encode_batch([text])[0][0]
    masked = np.unique(word_of_token[word_of_token >= 0])
    probs = predict([row, *(np.where(word_of_token == word, mask_id, row) for word in masked)]).astype(float)
    if output is None:
        output = int(probs[0].argmax())
    outputs = probs[:, output] if target.task == REGRESSION else np.log(np.clip(probs[:, output], LEAST, 1))
    scores = np.zeros(len(words))
    scores[masked] = outputs[0] - outputs[1:]
    return Explanation(words, scores, target.names[output], explained_value(target, probs[0], output), "occlusion")
