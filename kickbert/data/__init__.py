"""The data wing: a DataFrame → rows that can be used → splits → DataLoaders; and what to know of it before training.

Comes in: a DataFrame. Goes out: fastai DataLoaders of batches of nearly equal length, an exploration, pieces of files.
Start reading at `dataloaders.dataloaders_from_df`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "rows": [],
        "splits": ["split"],
        "imbalance": [],
        "transforms": ["TextTokenizer", "Tokens"],
        "bucketing": ["BucketDL", "Packed"],
        "dataloaders": ["TextBlock", "TextDataLoaders", "dataloaders_from_df"],
        "display": [],
        "profiling": [],
        "exploration": ["Exploration", "explore"],
        "exploration_report": ["plot_classes"],
        "tables.reading": ["TableFile", "read_rows"],
    },
)
