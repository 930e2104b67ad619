"""Evaluation report: one page about a model, first for managers, then for engineers.

learner, df → `Evaluation` → sections → HTML without external files
"""

import platform
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from kickbert.evaluation import error_analysis, plots
from kickbert.evaluation.data_slices import weak_slices
from kickbert.evaluation.evaluation import Evaluation, evaluate
from kickbert.evaluation.findings import findings
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.selective_prediction import coverage
from kickbert.experiments.plots import plot_ladder, plot_learning_curves
from kickbert.inference.benchmarking import benchmark
from kickbert.models.artifact.metadata import encoder_name, flat_metadata
from kickbert.targets.directions import with_directions
from kickbert.text.columns import as_list
from kickbert.text.tokenization import SEP
from kickbert.training.learner import GradualLearner
from kickbert.utils.atomic_files import replacing
from kickbert.utils.html_page import Section, cell, page
from kickbert.utils.messages import plural

SPLIT = "split"  # the column of training and test rows
EXPLAINED = 3  # mistakes explained word by word
INTERVALS = "low and high are the 95% interval: Wilson's for accuracy, otherwise by bootstrap."


def report(
    learn: Any,
    file: str | Path = "report.html",
    df: pd.DataFrame | None = None,
    *,
    evaluation: Evaluation | None = None,
    ladder: pd.DataFrame | None = None,
    title: str | None = None,
    source: str | None = None,
    seconds: float = 2.0,
) -> Path:
    """Write an evaluation report: scores, plots, error analysis, explanations, latency and metadata on one page.

    Args:
        learn: a learner or a predictor.
        file: the HTML file to write.
        df: labeled rows that were not used for any choice; None for the validation rows.
        evaluation: what `evaluate` returned for these rows, so that they are not evaluated again.
        ladder: table returned by `fit_gradual`.
        title: title of the page; by default "Evaluation report: <label column>".
        source: name of the rows for the top of the page, such as a file name.
        seconds: time to measure the latency of each batch size; 0 to skip it.
    Returns:
        The file.
    Raises:
        ValueError: neither validation rows nor df, or no row that can be evaluated.
    """
    evaluation = evaluation or evaluate(learn, df)
    label = learn.label_col
    title = title or f"Evaluation report: {label if isinstance(label, str) else 'labels'}"
    calibrated = learn.metadata["temperature"] != 1
    sections = [*_summary(evaluation)]
    if evaluation.predictions.y_true is not None:
        sections += [
            *_plots(evaluation, calibrated),
            *_errors(evaluation.predictions, as_list(learn.label_col)),
            *_explanations(learn, evaluation),
        ]
    sections += [*_training(learn, ladder), *_model(learn, evaluation, seconds)]
    file = Path(file).expanduser()
    with replacing(file) as part:
        part.write_text(page(title, _lead(learn, evaluation.rows, source), sections), encoding="utf-8")
    return file


def _lead(learn: Any, rows: int, source: str | None) -> str:
    """Name the rows, the model and the date."""
    artifact, encoder = getattr(learn, "artifact", None), encoder_name(learn.metadata["encoder"])
    model = f"{artifact.name}, version {artifact.version} ({encoder})" if artifact else f"learner ({encoder})"
    evaluated = f"{source}, {plural(rows, 'row')}" if source else plural(rows, "row")
    return f"Evaluated on {evaluated} · model: {model} · {datetime.now():%Y-%m-%d}"


def _headline(evaluation: Evaluation) -> str:
    """The main score, as a percentage if it is a share."""
    score = evaluation.shown().iloc[0]
    share = not evaluation.predictions.target.is_number
    return f"{100 * score['model']:.1f}% {score['score']}" if share else f"{score['score']} {cell(score['model'])}"


def _summary(evaluation: Evaluation) -> Iterator[Section]:
    """How good the model is in three sentences, and the main scores next to the baselines."""
    predictions = evaluation.predictions
    if predictions.y_true is None:
        yield Section("Summary", "The rows have no labels, so there are predictions and confidences but no scores.")
        yield Section("Predictions", table=predictions.to_frame().head(20))
        return
    sentences = list(dict.fromkeys([*evaluation.summary, *findings(evaluation), f"In the table, {INTERVALS}"]))
    yield Section("Summary", " ".join(sentences), with_directions(evaluation.shown()), headline=_headline(evaluation))
    for note in evaluation.notes:
        yield Section("Note", f"{note[0].upper()}{note[1:]}.")


def _plots(evaluation: Evaluation, calibrated: bool) -> Iterator[Section]:
    """Plots, scores by class, and all scores."""
    predictions = evaluation.predictions
    if predictions.target.is_number:
        yield Section("Predicted against true values", figure=plots.plot_values(predictions))
    else:
        yield from _probability_plots(predictions, calibrated)
        yield Section(
            "Precision and recall by class",
            "Precision: of the rows predicted as a class, the share that truly belong to it. Recall: of the rows of a "
            "class, the share predicted as it.",
            evaluation.worst_classes(),
            plots.plot_precision_recall(predictions),
            max_rows=50,
            noun=("class", "classes"),
        )
        yield Section(
            "ROC curves",
            "How well the probability of a class separates its rows from the rest: 1.0 is perfect, 0.5 is chance.",
            figure=plots.plot_roc(predictions),
        )
    text = f"{INTERVALS[0].upper()}{INTERVALS[1:]}"
    yield Section("All scores", text, with_directions(evaluation.scores), max_rows=50)


def _probability_plots(predictions: Predictions, calibrated: bool) -> Iterator[Section]:
    if not predictions.target.is_multilabel:
        yield Section(
            "Confusion matrix",
            "How each true class was predicted. Correct predictions are on the diagonal.",
            figure=plots.plot_confusion(predictions, rates=True),
        )
    advice = "" if calibrated else " kickbert.calibrate(learn) usually reduces it."
    yield Section(
        "Calibration",
        "A calibrated model is on the dotted line: predictions with 80% confidence are correct 8 times in 10. The "
        f"expected calibration error is the mean distance from that line.{advice}",
        figure=plots.plot_calibration(predictions),
    )
    yield Section(
        "Selective prediction",
        "Label only the rows with high confidence and leave the rest to a person: the fewer rows get a label, the more "
        "labels are correct. threshold_for(predictions, accuracy) finds the lowest confidence that reaches an "
        "accuracy.",
        figure=plots.plot_coverage(coverage(predictions)),
    )


def _errors(predictions: Predictions, label_col: list[str]) -> Iterator[Section]:
    """Error analysis, if there are mistakes."""
    if predictions.target.is_number or not predictions.texts:
        return
    tables = {
        "Most confident mistakes": (
            "Wrong labels, rare cases, or something that the model has not learned.",
            error_analysis.confident_mistakes(predictions),
        ),
        "Most confused pairs of classes": (
            "The largest cells off the diagonal of the confusion matrix.",
            error_analysis.confused_pairs(predictions),
        ),
        "Misleading words": (
            "Words that are more frequent in the mistakes of a predicted class than in its correct predictions.",
            error_analysis.misleading_words(predictions),
        ),
    }
    for heading, (text, table) in tables.items():
        if len(table):
            yield Section(heading, text, table, max_rows=20)
    weak = weak_slices(predictions, [*label_col, SPLIT])
    text = "Parts of the rows with a lower accuracy than the rest, by more than chance (p < 0.05)."
    yield Section("Weak slices", f"{text}{'' if len(weak) else ' None found.'}", weak if len(weak) else None)


def _explanations(learn: Any, evaluation: Evaluation) -> Iterator[Section]:
    """The words behind the most confident mistakes, and rows that are also in the training data."""
    predictions = evaluation.predictions
    if not predictions.texts or predictions.target.is_number:
        return
    wrong = predictions.wrong
    worst = np.flatnonzero(wrong)[np.argsort(-predictions.confidence[wrong], kind="stable")][:EXPLAINED]
    texts = [tuple(predictions.texts[i].split(SEP)) for i in worst]
    if texts:
        markup = "\n".join(learn.explain(text, method="occlusion").to_html() for text in texts)
        yield Section(
            "Explanations of the most confident mistakes",
            "How much the prediction changes when a word is masked. Orange words support it; blue words count against "
            "it.",
            markup=markup,
        )
    if (training := learn.labeled_rows("train")) is not None:
        table = error_analysis.leaks(predictions, training[0])
        if len(table):
            text = "Rows whose text is also in the training data. They make the scores look too good; remove them."
            yield Section("Train-test leakage", text, table, max_rows=20)


def _training(learn: Any, ladder: pd.DataFrame | None) -> Iterator[Section]:
    """The phases, and the losses if the learner was trained in this process."""
    if ladder is not None:
        metric = next((m for m in ladder.columns[::-1] if ladder[m].between(0, 1).all()), None)
        figure = plot_ladder(ladder, metric=metric) if metric else None
        yield Section("Gradual unfreezing", "The scores after each phase of training.", ladder, figure)
    if isinstance(learn, GradualLearner) and learn.history.fits:
        yield Section("Learning curves", figure=plot_learning_curves(learn))


def _model(learn: Any, evaluation: Evaluation, seconds: float) -> Iterator[Section]:
    """Latency on this machine, and metadata."""
    texts = evaluation.predictions.texts[:2_000]
    if seconds and texts and len(learn.text_col) == 1:
        table = benchmark(learn, texts, seconds=seconds)
        yield Section(
            "Latency and throughput", "Measured with this model on this machine; ms is the time of one call.", table
        )
    metadata = flat_metadata(learn.metadata) | {
        "machine": f"{platform.machine()}, {plural(torch.get_num_threads(), 'thread')}"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")
    }
    table = pd.DataFrame({"property": list(metadata), "value": list(map(str, metadata.values()))})
    yield Section("Model metadata", table=table)
