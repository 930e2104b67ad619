"""Training an artifact on the labels of a database."""

from pathlib import Path
from typing import Any

from kickbert.labeling.tables import read


def train_from_labels(file: str | Path, out: str | Path, model: str | None = None) -> dict[str, Any]:
    """Train a classifier on the labels of a database and save it.

    Args:
        file: Label database.
        out: Folder of the model; each training writes a new version.
        model: Hub id, folder or "minilm"; None for the default encoder.
    Returns:
        folder (of the version), rows (number of labels), judged (number of validation rows), and scores (on these).
    Raises:
        ValueError: There are too few labels or classes.
    """
    df = read(file)
    from kickbert.training.factories import learner_from_df  # imports torch; not needed if `read` fails
    from kickbert.training.fitting import fit_default

    learn = learner_from_df(df, text_col=df.attrs["text_col"], task=df.attrs["task"], model=model, path=out)
    ladder = fit_default(learn)
    scores = ladder.iloc[-1][[m.name for m in learn.metrics]].astype(float).to_dict()
    folder = str(learn.save_artifact(out))
    return {"folder": folder, "rows": len(df), "judged": len(learn.dls.valid_ds), "scores": scores}
