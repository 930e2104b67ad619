"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from kickbert.data.tables.formats import READABLE

KINDS = READABLE
Model = Annotated[Path, typer.Argument(help="model folder: models/k, or a version such as models/k/v3")]
Rows = Annotated[Path, typer.Argument(help=f"table of rows: {KINDS}")]
Texts = Annotated[
    list[str] | None,
    typer.Option(
        "--text", help="text column; repeat for several (default: text, or the only column of texts; or the model's)"
    ),
]
Missing = Annotated[
    str,
    typer.Option(
        help="for a model that reads columns beside the text: refuse a file without one of them, or impute it, as if "
        "its cells were empty"
    ),
]
Encoding = Annotated[str | None, typer.Option(help="encoding of the text file, such as cp1252 (default: detected)")]
Separator = Annotated[str | None, typer.Option("--sep", help="column separator of the CSV file (default: detected)")]
FORMAT_HELP = "onnx, onnx-int8, openvino-int8, onnx-fp16 or torch-export; repeat for several"
Backend = Annotated[
    str, typer.Option(help="openvino-int8, onnx-int8, torch-bf16, onnx or torch; auto: the fastest available")
]
Functions = Annotated[
    str | None, typer.Option(help="module or .py file with your own cleaning functions that the model was trained with")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
All = Annotated[bool, typer.Option("--all", help="print every score, not just the main ones")]
