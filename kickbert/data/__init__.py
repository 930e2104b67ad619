"""Data: a DataFrame → usable rows → splits → DataLoaders, exploration before training, and tables in files.

Input: a DataFrame or a file. Output: fastai DataLoaders of batches of nearly equal length, an exploration, DataFrames.
Start reading at `dataloaders.TextDataLoaders.from_df`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "rows": [],
        "row_groups": [],
        "splits": ["split"],
        "imbalance": [],
        "transforms": ["TextTokenizer", "Tokens"],
        "packed": ["Packed"],
        "batching": ["length_batches"],
        "bucketing": ["BucketDL"],
        "dataloaders": ["TextBlock", "TextDataLoaders"],
        "display": [],
        "profiling": [],
        "exploration": ["Exploration", "explore"],
        "findings": [],
        "exploration_report": ["plot_classes"],
        "tables.annotations": ["read_annotations"],
        "tables.reading": ["TableFile", "read_rows"],
    },
)
