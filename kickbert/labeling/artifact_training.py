"""Training an artifact on the labels of a database."""

from pathlib import Path
from typing import Any

import numpy as np

from kickbert.labeling.tables import read


def train_from_labels(file: str | Path, out: str | Path, model: str | None = None) -> dict[str, Any]:
    """Train a classifier on the labels of a database and save it.

    Args:
        file: Label database.
        out: Folder of the model; each training writes a new version.
        model: Hub id, folder or "minilm"; None for the default encoder.
    Returns:
        folder (of the version), rows (number of labels), judged (number of validation rows), and scores (value and 95%
        interval on these, of the scores that have an interval).
    Raises:
        ValueError: There are too few labels or classes.
    """
    df = read(file)
    from kickbert.training.factories import learner_from_df  # imports torch; not needed if `read` fails
    from kickbert.training.fitting import fit_default

    learn = learner_from_df(df, text_col=df.attrs["text_col"], task=df.attrs["task"], model=model, path=out)
    fit_default(learn)
    judged = len(learn.dls.valid_ds)
    folder = str(learn.save_artifact(out))
    return {"folder": folder, "rows": len(df), "judged": judged, "scores": _scores(learn) if judged else {}}


def _scores(learn: Any) -> dict[str, tuple[float, ...]]:
    """Score the validation rows by the learner's metrics that have an interval: value, low and high by score."""
    from kickbert.evaluation.predictions import Predictions
    from kickbert.evaluation.scores import main_scores
    from kickbert.evaluation.significance import score_intervals

    predictions = Predictions.from_model(learn)
    scores = main_scores(predictions)
    values, table = scores(np.ones(len(predictions))), score_intervals(scores, len(predictions))
    metrics = [metric.name for metric in learn.metrics if metric.name in values]
    defined = [name for name in metrics if not np.isnan(table["low"][name])]
    return {name: (values[name], *map(float, table.loc[name, ["low", "high"]])) for name in defined}
