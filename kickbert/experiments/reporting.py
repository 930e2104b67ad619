"""One page about a model: what a manager asks on top, what an engineer asks at the bottom.

learner, df → `Evaluation` → sections → HTML that needs no network
"""

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from kickbert.evaluation import baselines, error_analysis, plots
from kickbert.evaluation.calibration import coverage
from kickbert.evaluation.evaluation import Evaluation, evaluate
from kickbert.evaluation.scores import MAIN_SCORES
from kickbert.experiments.plots import plot_ladder, plot_learning_curves
from kickbert.inference.benchmarking import benchmark
from kickbert.models.artifact import flat_metadata
from kickbert.targets.kinds import MULTI, REGRESSION
from kickbert.text.tokenization import SEP
from kickbert.training.learner import GradualLearner
from kickbert.utils.atomic_files import replacing
from kickbert.utils.html_page import Section, page

EXPLAINED = 3  # mistakes that are shown word by word
PACKAGES = ("torch", "transformers", "fastai", "scikit-learn")


def report(
    learn: Any,
    file: str | Path = "report.html",
    df: pd.DataFrame | None = None,
    *,
    ladder: pd.DataFrame | None = None,
    title: str | None = None,
    seconds: float = 2.0,
) -> Path:
    """Write all that is known of how good a model is as one page.

    Args:
        learn: a learner or a predictor.
        file: of the page.
        df: rows with labels that no choice was made on; None for the validation rows.
        ladder: what `fit_gradual` returned.
        title: of the page; None for what is predicted.
        seconds: for which the speed of each batch size is measured; 0 to leave it out.
    Returns:
        The file.
    """
    found = evaluate(learn, df)
    label = learn.label_col
    title = title or f"Predicting {label if isinstance(label, str) else 'labels'}"
    sections = [
        *_short(found),
        *_scores(found),
        *_mistakes(found),
        *_reasons(learn, found),
        *_training(learn, ladder),
        *_engine(learn, found, seconds),
    ]
    file = Path(file)
    with replacing(file) as part:
        part.write_text(page(title, f"{found.rows:,} rows judged", sections), encoding="utf-8")
    return file


def _judged(found: Evaluation) -> bool:
    return found.predictions.y_true is not None


def _short(found: Evaluation) -> Iterator[Section]:
    """What it is worth, in sentences."""
    task = found.predictions.target.task
    if not _judged(found):
        yield Section(
            "In short",
            "The rows have no labels: there are answers and their confidence, but nothing says how good they are.",
        )
        yield Section("Predictions", table=found.predictions.to_frame().head(20))
        return
    main = MAIN_SCORES[task]
    row = found.scores.set_index("score").loc[main]
    sentences = {
        "accuracy": "It is right on {} of the rows",
        "F1, micro": "The F1 of its labels is {}",
        "R2": "It explains {} of the variance (R²)",
    }
    interval = f"95 % interval: {_percent(row['low'])} to {_percent(row['high'])}"
    short = f"{sentences[main].format(_percent(row['model']))} ({interval})."
    others = {baselines.MAJORITY: "the most usual answer", baselines.LINEAR: "a linear model of word counts"}
    beside = [f"{name} has {_percent(row[key])}" for key, name in others.items() if key in row and row[key] == row[key]]
    if beside:
        short += f" For comparison: {', '.join(beside)}."
    if row.get(baselines.LINEAR, -np.inf) > row["model"]:
        short += " By this the linear model does better here, and it costs less."
    yield Section("In short", short)
    for note in found.predictions.notes:
        yield Section("Mind", note)


def _percent(score: float) -> str:
    return f"{100 * score:.1f} %"


def _scores(found: Evaluation) -> Iterator[Section]:
    if not _judged(found):
        return
    p = found.predictions
    if p.target.task == REGRESSION:
        yield Section("Predicted against true", figure=plots.plot_values(p))
    else:
        yield Section(
            "When it may stay silent",
            "ProbabilityModel only the rows it is sure of makes the answers better; the others go to a person.",
            figure=plots.plot_coverage(coverage(p)),
        )
        yield Section(
            "Is it as sure as it is right?",
            "On the dotted line 80 % sure means right four times in five; kickbert.calibrate(learn) brings it there.",
            figure=plots.plot_calibration(p),
        )
        if p.target.task != MULTI:
            yield Section("What is taken for what", figure=plots.plot_confusion(p, rates=True))
        yield Section("Each class", table=found.classes, figure=plots.plot_precision_recall(p), most=50)
        yield Section("Telling each class from the rest", figure=plots.plot_roc(p))
    yield Section("All scores", "low and high enclose 95 % of bootstrap samples of the rows.", found.scores, most=50)


def _mistakes(found: Evaluation) -> Iterator[Section]:
    p = found.predictions
    if not _judged(found) or p.target.task == REGRESSION or not p.texts:
        return
    tables = {
        "Mistakes that it was surest of": (
            "Wrong labels, rare cases, or something not understood.",
            error_analysis.confident_mistakes(p),
        ),
        "Most confused": ("", error_analysis.confused_pairs(p)),
        "Where it is weak": (
            "p tells whether a part of the rows differs from the others by more than chance.",
            error_analysis.slices(p),
        ),
        "Words that mislead it": (
            "They stand in its mistakes more than in its right answers.",
            error_analysis.misleading_words(p),
        ),
    }
    for title, (text, table) in tables.items():
        if len(table):
            yield Section(title, text, table, most=20)


def _reasons(learn: Any, found: Evaluation) -> Iterator[Section]:
    """What the surest mistakes were read from, and rows that training had too."""
    p = found.predictions
    if not _judged(found) or not p.texts or p.target.task == REGRESSION:
        return
    worst = np.flatnonzero(p.wrong)[np.argsort(-p.confidence[p.wrong], kind="stable")][:EXPLAINED]
    told = [learn.explain(tuple(p.texts[i].split(SEP)), method="occlusion").to_html() for i in worst]
    if told:
        text = "What is lost when a word is hidden, in the mistakes it was surest of: orange speaks for the answer, "
        yield Section("Why it said so", f"{text}blue against it.", markup="\n".join(told))
    if (training := learn.labelled_rows("train")) is not None:
        table = error_analysis.leaks(p, training[0])
        if len(table):
            yield Section("Rows that training had too", "They flatter the scores; drop them.", table, most=20)


def _training(learn: Any, ladder: pd.DataFrame | None) -> Iterator[Section]:
    if ladder is not None:
        metric = next((m for m in ladder.columns[::-1] if ladder[m].between(0, 1).all()), None)
        yield Section(
            "What each phase brought", table=ladder, figure=plot_ladder(ladder, metric=metric) if metric else None
        )
    if isinstance(learn, GradualLearner) and learn.history.fits:
        yield Section("Training", figure=plot_learning_curves(learn))


def _engine(learn: Any, found: Evaluation, seconds: float) -> Iterator[Section]:
    texts = found.predictions.texts[:2_000]
    if seconds and texts and len(learn.text_col) == 1:
        table = benchmark(learn, texts, seconds=seconds)
        yield Section("Speed", "Of this model on this machine; ms is the time of one call.", table)
    rows = flat_metadata(learn.metadata) | {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")
    }
    yield Section("The model", table=pd.DataFrame({"property": list(rows), "value": list(map(str, rows.values()))}))
