"""Export of a saved model to other formats; each is compared with PyTorch before it is kept.

artifact → network → graph → exported file → predictions for some rows → kept in the artifact, or refused
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from kickbert.inference.exports.comparison import LIMIT, Comparison
from kickbert.inference.exports.formats import FORMATS, Source
from kickbert.inference.exports.onnx_graph import prepare
from kickbert.models.artifact.manifest import WEIGHTS
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.artifact.versions import add_file
from kickbert.models.artifact.vocabulary import trim_vocabulary
from kickbert.text.cleaning_steps import Step
from kickbert.utils.extras import require
from kickbert.utils.messages import nearest


def export(
    folder: str | Path,
    df: pd.DataFrame,
    formats: Sequence[str] = ("onnx", "onnx-int8"),
    *,
    limit: float = LIMIT,
    force: bool = False,
    functions: Sequence[Step] = (),
    vocabulary: Any = None,
) -> pd.DataFrame:
    """Export a saved model to other formats, into its folder.

    Args:
        folder: folder of the artifact.
        df: rows to compare on, with labels to measure what int8 costs; a few hundred validation rows are enough.
        formats: any of "onnx", "onnx-int8", "openvino-int8", "onnx-fp16" and "torch-export". The ranges of activations
            in "openvino-int8" are those of the texts of the first rows.
        limit: percentage points of the main score that int8 may cost: accuracy, quadratic kappa for ordered classes,
            micro-F1 for several labels, R² for numbers; without labels, the share of identical predictions. int8 is
            refused if it costs significantly more.
        force: keep an int8 model that costs more.
        functions: your own cleaning steps that the model was trained with.
        vocabulary: texts (strings, tuples, dicts or a DataFrame). The model is first reduced to their tokens, as a new
            version; predictions of these texts do not change. None to keep all tokens.
    Returns:
        One row for PyTorch and one per format: format, file, MB, max_difference (largest difference of a probability),
        same_prediction (share of rows with the same prediction as PyTorch), and with labels score, in percentage
        points. With `vocabulary`, also a row with MB and tokens of the previous version.
    Raises:
        ArtifactError: a format cannot be exported or differs too much; it is not kept.
        ValueError: a format is unknown, or there are no rows.
    Warns:
        int8 costs more than `limit` on these rows, but not significantly.
    """
    check_formats(formats)
    if not len(df):
        raise ValueError("df has no rows; pass labeled rows to compare on, such as the validation rows")
    artifact = read_artifact(folder, functions)
    compare = Comparison(artifact, df)
    rows: list[dict[str, Any]] = []
    if vocabulary is not None:
        before = compare
        artifact = trim_vocabulary(artifact, vocabulary)
        compare = Comparison(artifact, df)
        rows.append(_trimmed(before, compare))
    rows.insert(0, compare.torch_row())
    prepare(compare.network)
    source = Source(compare.network, artifact.token_encoder.long == "windows", compare.inputs)
    with TemporaryDirectory() as scratch:
        for name in formats:
            file, write = FORMATS[name]
            path = Path(scratch) / f"new.{file}"
            write(source, path)
            rows.append(compare(name, path, limit, force))
            artifact = add_file(artifact, file, partial(copyfile, path))
    return pd.DataFrame(rows)


def check_formats(formats: Sequence[str]) -> None:
    """Check that models can be exported to these formats here.

    Raises:
        ValueError: a format is unknown.
        ImportError: a package for it is not installed.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise ValueError(f"format {unknown[0]!r} is not one of {list(FORMATS)}{nearest(unknown[0], FORMATS)}")
    if formats:
        require("onnx", extra="export")
    if "openvino-int8" in formats:
        require("openvino", extra="openvino")
        require("nncf", extra="openvino")


def _trimmed(before: Comparison, after: Comparison) -> dict[str, Any]:
    """Make the table row for a trimmed vocabulary."""
    return {
        "format": "vocabulary",
        "file": WEIGHTS,
        "MB": after.torch_row()["MB"],
        "MB before": before.torch_row()["MB"],
        "tokens": after.artifact.token_encoder.tokenizer.get_vocab_size(),
        "tokens before": before.artifact.token_encoder.tokenizer.get_vocab_size(),
    } | before.differences(after.reference)
