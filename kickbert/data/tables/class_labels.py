"""Names of classes that Hugging Face datasets keep beside their numbers."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd


def features_of(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """Read the features of a dataset from the metadata of its Parquet file, which the Hub and `to_parquet` write.

    Returns:
        The feature of each column as JSON; empty if there are none.
    """
    content = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    return content.get("info", {}).get("features") or {}


def name_classes(df: pd.DataFrame, features: Mapping[str, Any]) -> pd.DataFrame:
    """Replace class numbers by their names; a negative number is a missing label.

    Args:
        df: the rows; not changed.
        features: the feature of each column, as `features_of` returns them.

    >>> features = {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}
    >>> name_classes(pd.DataFrame({"label": [1, 0, -1]}), features)["label"].tolist()
    ['good', 'bad', None]
    """
    columns = {}
    for column, feature in features.items():
        inner = feature.get("feature", feature) if isinstance(feature, Mapping) else None
        if column not in df or not isinstance(inner, Mapping) or inner.get("_type") != "ClassLabel":
            continue
        names = inner["names"]
        cells = [
            _name(names, cell) if inner is feature or cell is None else [_name(names, number) for number in cell]
            for cell in df[column]
        ]
        columns[column] = pd.Series(cells, index=df.index, dtype=object)
    return df.assign(**columns) if columns else df


def _name(names: list[str], number: Any) -> str | None:
    return None if pd.isna(number) or number < 0 else names[int(number)]
