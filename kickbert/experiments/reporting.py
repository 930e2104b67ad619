"""Evaluation report: one page about a model, with what a manager asks on top and what an engineer asks below.

learner, df → `Evaluation` → sections → HTML that needs no network
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
from kickbert.evaluation.evaluation import Evaluation, evaluate
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.selective_prediction import coverage
from kickbert.experiments.plots import plot_ladder, plot_learning_curves
from kickbert.inference.benchmarking import benchmark
from kickbert.models.artifact.metadata import encoder_name, flat_metadata
from kickbert.text.tokenization import SEP
from kickbert.training.learner import GradualLearner
from kickbert.utils.atomic_files import replacing
from kickbert.utils.html_page import Section, cell, page

EXPLAINED = 3  # mistakes that are shown word by word


def report(
    learn: Any,
    file: str | Path = "report.html",
    df: pd.DataFrame | None = None,
    *,
    ladder: pd.DataFrame | None = None,
    title: str | None = None,
    source: str | None = None,
    seconds: float = 2.0,
) -> Path:
    """Write an evaluation report: scores, plots, error analysis, explanations, latency and metadata on one page.

    Args:
        learn: a learner or a predictor.
        file: of the page.
        df: rows with labels that no choice was made on; None for the validation rows.
        ladder: what `fit_gradual` returned.
        title: of the page; None for what is predicted.
        source: what the rows are, such as the name of their file, for the head of the page.
        seconds: for which the latency of each batch size is measured; 0 to leave it out.
    Returns:
        The file.
    Raises:
        ValueError: no validation rows and no df, or no row that can be evaluated.
    """
    evaluation = evaluate(learn, df)
    label = learn.label_col
    title = title or f"Predicting {label if isinstance(label, str) else 'labels'}"
    calibrated = learn.metadata["temperature"] != 1
    sections = [*_summary(evaluation)]
    if evaluation.predictions.y_true is not None:
        sections += [
            *_plots(evaluation, calibrated),
            *_errors(evaluation.predictions),
            *_explanations(learn, evaluation),
        ]
    sections += [*_training(learn, ladder), *_model(learn, evaluation, seconds)]
    file = Path(file)
    with replacing(file) as part:
        part.write_text(page(title, _lead(learn, evaluation.rows, source), sections), encoding="utf-8")
    return file


def _lead(learn: Any, rows: int, source: str | None) -> str:
    """On what rows, of which model, when."""
    artifact, encoder = getattr(learn, "artifact", None), encoder_name(learn.metadata["encoder"])
    model = f"{artifact.name}, version {artifact.version} ({encoder})" if artifact else f"a learner ({encoder})"
    held_out = f"{source}, {rows:,} rows" if source else f"{rows:,} rows"
    return f"Evaluated on {held_out} · model: {model} · {datetime.now():%Y-%m-%d}"


def _headline(evaluation: Evaluation) -> str:
    """The main score, in per cent where it is a share."""
    score = evaluation.shown().iloc[0]
    share = not evaluation.predictions.target.is_number
    return f"{100 * score['model']:.1f} % {score['score']}" if share else f"{score['score']} {cell(score['model'])}"


def _summary(evaluation: Evaluation) -> Iterator[Section]:
    """How good the model is in three sentences, and the scores that a task is judged by, beside the baselines."""
    predictions = evaluation.predictions
    if predictions.y_true is None:
        yield Section(
            "Summary", "The rows have no labels: there are predictions and their confidence, but no scores of them."
        )
        yield Section("Predictions", table=predictions.to_frame().head(20))
        return
    sentences = [*evaluation.summary, "In the table low and high are the 95 % bootstrap interval."]
    yield Section("Summary", " ".join(sentences), evaluation.shown(), headline=_headline(evaluation))
    for note in evaluation.notes:
        yield Section("Note", f"{note[0].upper()}{note[1:]}.")


def _plots(evaluation: Evaluation, calibrated: bool) -> Iterator[Section]:
    """What the scores are made of, and the scores."""
    predictions = evaluation.predictions
    if predictions.target.is_number:
        yield Section("Predicted against true values", figure=plots.plot_values(predictions))
    else:
        yield from _probability_plots(predictions, calibrated)
        yield Section(
            "Precision and recall by class",
            "Precision: the share of the rows predicted as a class that are of it. Recall: the share of a class's rows "
            "that are predicted as it.",
            evaluation.classes,
            plots.plot_precision_recall(predictions),
            most=50,
        )
        yield Section(
            "ROC curves",
            "How well the probability of a class tells its rows from the rest; 1.0 is perfect, 0.5 is chance.",
            figure=plots.plot_roc(predictions),
        )
    text = "low and high: 95 % bootstrap interval."
    yield Section("All scores", text, evaluation.scores, most=50)


def _probability_plots(predictions: Predictions, calibrated: bool) -> Iterator[Section]:
    if not predictions.target.is_multilabel:
        yield Section(
            "Confusion matrix",
            "What the rows of each true class are predicted as; the diagonal is right.",
            figure=plots.plot_confusion(predictions, rates=True),
        )
    advice = "." if calibrated else "; kickbert.calibrate(learn) makes it smaller."
    yield Section(
        "Calibration",
        "A calibrated model lies on the dotted line: when it says 80 %, it is right 8 times in 10. The expected "
        f"calibration error is the mean distance from it{advice}",
        figure=plots.plot_calibration(predictions),
    )
    yield Section(
        "Selective prediction",
        "Answer only when sure: the fewer rows get a label, the more of the labels are right; the other rows go to a "
        "person. threshold_for(predictions, accuracy) finds the least confidence.",
        figure=plots.plot_coverage(coverage(predictions)),
    )


def _errors(predictions: Predictions) -> Iterator[Section]:
    """Error analysis, as far as there are mistakes."""
    if predictions.target.is_number or not predictions.texts:
        return
    tables = {
        "Most confident mistakes": (
            "Wrong labels, rare cases, or something the model has not understood.",
            error_analysis.confident_mistakes(predictions),
        ),
        "Most confused pairs of classes": (
            "The largest cells off the diagonal of the confusion matrix.",
            error_analysis.confused_pairs(predictions),
        ),
        "Weak slices": (
            "p tells whether the accuracy of a part of the rows differs from that of the others by more than chance.",
            error_analysis.slices(predictions),
        ),
        "Misleading words": (
            "They stand in the mistakes of a predicted class more than in its right predictions.",
            error_analysis.misleading_words(predictions),
        ),
    }
    for heading, (text, table) in tables.items():
        if len(table):
            yield Section(heading, text, table, most=20)


def _explanations(learn: Any, evaluation: Evaluation) -> Iterator[Section]:
    """The words behind the most confident mistakes, and rows that training had too."""
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
            "By occlusion, what masking a word takes from the prediction: orange speaks for it, blue against it.",
            markup=markup,
        )
    if (training := learn.labeled_rows("train")) is not None:
        table = error_analysis.leaks(predictions, training[0])
        if len(table):
            text = "Rows whose text stands in training too: they flatter the scores; drop them."
            yield Section("Train-test leakage", text, table, most=20)


def _training(learn: Any, ladder: pd.DataFrame | None) -> Iterator[Section]:
    """The phases, and the losses of the learner where it was trained in this process."""
    if ladder is not None:
        metric = next((m for m in ladder.columns[::-1] if ladder[m].between(0, 1).all()), None)
        figure = plot_ladder(ladder, metric=metric) if metric else None
        yield Section("Gradual unfreezing", "What each phase of training brought.", ladder, figure)
    if isinstance(learn, GradualLearner) and learn.history.fits:
        yield Section("Learning curves", figure=plot_learning_curves(learn))


def _model(learn: Any, evaluation: Evaluation, seconds: float) -> Iterator[Section]:
    """Latency on this machine, and metadata."""
    texts = evaluation.predictions.texts[:2_000]
    if seconds and texts and len(learn.text_col) == 1:
        table = benchmark(learn, texts, seconds=seconds)
        yield Section("Latency and throughput", "Of this model on this machine; ms is the time of one call.", table)
    metadata = flat_metadata(learn.metadata) | {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")
    }
    table = pd.DataFrame({"property": list(metadata), "value": list(map(str, metadata.values()))})
    yield Section("Model metadata", table=table)
