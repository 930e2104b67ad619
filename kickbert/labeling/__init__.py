"""Active learning, and a labeling page.

Input: a table of unlabeled texts, class names. Output: labels in an SQLite file, then an artifact.
Start reading at `session.LabelingSession`, then `background` (the model behind the page) and `strategies.query`.
"""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "sqlite_file": ["DatabaseLocked"],
        "database": ["Label", "LabelDatabase"],
        "classes": ["ClassList"],
        "tables": ["add_table", "export_labels", "read"],
        "classifier": ["EmbeddingClassifier", "label_codes"],
        "strategies": ["STRATEGIES", "cold_start", "query"],
        "stopping": ["Forecast", "forecast", "stabilized"],
        "assessment": ["Assessment", "assess"],
        "background": ["BackgroundModel"],
        "child_process": ["ChildProcess"],
        "encoder_tuning": ["EncoderTuning"],
        "artifact_training": ["train_from_labels"],
        "session": ["LabelingSession", "Settings"],
        "routes": [],
        "app": ["create_app"],
        "server": ["label_rows"],
    },
)
