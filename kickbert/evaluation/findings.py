"""The three most useful sentences about a model's mistakes: the weakest class, the most confused pair, calibration."""

from kickbert.evaluation.error_analysis import confused_pairs
from kickbert.evaluation.evaluation import Evaluation
from kickbert.utils.messages import plural, shorten

FINDINGS = 3
CALIBRATED = 0.05  # expected calibration error up to which confidences can be read as shares


def findings(evaluation: Evaluation) -> list[str]:
    """Summarize the mistakes of a model in three sentences; fewer for a number or without labels.

    Args:
        evaluation: the result of `evaluate`.
    """
    predictions = evaluation.predictions
    if predictions.y_true is None or predictions.target.is_number:
        return list(evaluation.summary[1:])
    compared = evaluation.summary[1:-1]
    return [evaluation.summary[-1], *_confusion(evaluation), *_calibration(evaluation), *compared][:FINDINGS]


def _confusion(evaluation: Evaluation) -> list[str]:
    """The pair of classes that is confused most often; none for several labels per row."""
    predictions = evaluation.predictions
    pairs = confused_pairs(predictions)
    if not len(pairs):
        return [] if predictions.wrong.any() else ["No row is wrong."]
    first = pairs.iloc[0]
    true, predicted = (repr(shorten(str(first[column]), 40)) for column in ("true", "predicted"))
    return [f"Most confused: {true} is predicted as {predicted} in {plural(int(first['rows']), 'row')}."]


def _calibration(evaluation: Evaluation) -> list[str]:
    """How far confidences are from the share of correct predictions."""
    scores = evaluation.scores.set_index("score")["model"]
    if (error := scores.get("expected calibration error")) is None:
        return []
    advice = "" if error <= CALIBRATED else "; calibrate the model before you rely on them"
    return [f"Confidences differ from the share of correct predictions by {100 * error:.0f} points on average{advice}."]
