"""The labeling wing: unlabelled rows → labels: active learning, a page to label on.

Comes in: a table of texts, names of classes. Goes out: labels in one SQLite file, then an artifact. Start reading at
`session.LabelingSession`, what the page works with, then `background` (the model behind it), `tuning`
(its encoder) and `strategies.query`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "sqlite_file": ["DatabaseLocked"],
        "database": ["Label", "LabelDatabase"],
        "classes": ["ClassList"],
        "tables": ["add_table", "export_labels", "read"],
        "classifier": ["EmbeddingClassifier"],
        "strategies": ["STRATEGIES", "cold_start", "query"],
        "stopping": ["Forecast", "forecast", "stabilised"],
        "assessment": ["Assessment", "assess"],
        "background": ["BackgroundModel"],
        "tuning": ["EncoderTuning", "train_from_labels"],
        "session": ["LabelingSession", "Settings"],
        "app": ["create_app", "label_rows"],
    },
)
