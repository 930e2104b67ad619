"""JSON of requests and responses, validated by pydantic and described in `/openapi.json`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator


class Strict(BaseModel):
    """A request without unknown fields and without conversions, such as from a number to a text."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _no_default(schema: dict) -> None:
    schema.pop("default", None)


class TextsRequest(Strict):
    """A request with either `texts`, one or many, or `text`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["texts"]}, {"required": ["text"]}]})

    @model_validator(mode="after")
    def _one(self) -> "TextsRequest":
        if len({"text", "texts"} & self.model_fields_set) != 1:
            raise ValueError("send either texts, one or many, or text, one")
        return self

    @property
    def items(self) -> list[dict[str, Any]]:
        """Each text as a dict from column to cell, with the columns beside it."""
        fields: Any = self
        rows = fields.texts if "texts" in self.model_fields_set else [fields.text]
        return [row.model_dump(by_alias=True) for row in rows]


def request_models(
    columns: list[str], labels: list[str], single: bool, max_chars: int, max_texts: int, beside: Sequence[str] = ()
) -> tuple[type[TextsRequest], type[Strict]]:
    """Create the models of requests: texts to predict, and a text to explain.

    Args:
        columns: text columns. A text is an object with these fields, or a string if there is one column.
        labels: names of the classes.
        single: whether each text gets one label, so that a minimum confidence makes sense.
        max_chars: maximum characters per column of a text.
        max_texts: maximum texts per request.
        beside: columns that the models read beside the text, further fields of the object; null for an empty cell.
    """
    cell: Any = Annotated[str, Field(max_length=max_chars)]
    cells: dict[str, Any] = {f"c{i}": (cell, Field(alias=column)) for i, column in enumerate(columns)}
    other: Any = Annotated[str, Field(max_length=max_chars)] | int | float | bool | None
    cells |= {f"b{i}": (other, Field(alias=column)) for i, column in enumerate(beside)}
    row: Any = create_model("Row", __base__=Strict, **cells)
    one = row
    described = row
    if len(cells) == 1:
        described = cell | row
        as_row = BeforeValidator(lambda text: {columns[0]: text} if isinstance(text, str) else text, described)
        one = Annotated[row, as_row]
    limits = Field(min_length=1, max_length=max_texts)
    described_list = Annotated[list[described], limits]  # type: ignore[valid-type]
    as_list = BeforeValidator(lambda texts: texts if isinstance(texts, list) else [texts], described | described_list)
    many = Annotated[list[one], limits, as_list]  # type: ignore[valid-type]
    fields: dict[str, Any] = {
        "texts": (many, Field(None, description="one text, or a list", json_schema_extra=_no_default)),
        "text": (one, Field(None, description="one text, instead of texts", json_schema_extra=_no_default)),
    }
    if single:
        probability = Annotated[float, Field(ge=0, le=1)]
        fields["min_confidence"] = (probability | None, Field(None, description="below it, the label is null"))
    prediction = create_model("PredictionRequest", __base__=TextsRequest, __doc__="Texts to predict.", **fields)
    label: Any = Literal[tuple(labels)] | None
    explanation = create_model(
        "ExplanationRequest",
        __base__=Strict,
        __doc__="A text to explain, and the class to explain it for; by default the predicted one.",
        text=(one, Field(description="a text with at least one word")),
        label=(label, None),
    )
    return prediction, explanation


class Prediction(BaseModel):
    """The prediction for a text. Every field is null for an empty text."""

    label: Any = Field(None, description="predicted class, the median for ordered classes; null below min_confidence")
    labels: list | None = Field(None, description="multi-label: the classes that reach their threshold")
    value: float | None = Field(None, description="regression: the predicted number")
    confidence: float | None = Field(None, description="probability of the predicted class")
    expected: float | None = Field(None, description="ordered bins: the expected value, in the original unit")
    probabilities: dict[str, float] | None = Field(None, description="probability of each class")


class PredictionResponse(BaseModel):
    """A prediction for each text, in the order of the request."""

    version: str = Field(description="version of the model")
    predictions: list[Prediction]


class ManyPredictionsResponse(BaseModel):
    """The predictions of several models for the same texts."""

    models: dict[str, PredictionResponse] = Field(description="by name of the model")


class WordScore(BaseModel):
    """A word and its attribution score."""

    word: str
    score: float = Field(description="above zero if the word makes the class more probable")


class ColumnScore(BaseModel):
    """A column beside the text and its attribution score, compared with an empty cell."""

    column: str
    score: float = Field(description="above zero if the cell makes the class more probable")


class ExplanationResponse(BaseModel):
    """Attribution scores of the words of a text for a class, by occlusion."""

    label: str | None = Field(description="the explained class")
    value: float | None = Field(description="its probability, or the predicted number")
    words: list[WordScore] = Field(description="in the order of the text; empty for an empty text")
    columns: list[ColumnScore] = Field(description="columns beside the text; empty for a model of texts alone")


class ColumnInfo(BaseModel):
    """A column that a model reads beside the text."""

    name: str
    kind: str = Field(description="category, number or date")
    values: list[str] = Field(description="the most frequent categories; empty for numbers and dates")


class ModelInfo(BaseModel):
    """A model of the service."""

    name: str
    version: str
    encoder: str = Field(description="architecture and number of layers")
    task: str
    labels: list[str]
    text_col: list[str]
    columns: list[ColumnInfo] = Field(description="columns beside the text, further fields of a request")
    backend: str
    metrics: dict[str, float] = Field(description="scores on the rows in evaluated_on; empty if there are none")
    evaluated_on: str
    examples: list[str] = Field(description="texts to try")
    card: str = Field(description="model card, Markdown; empty if there is none")
    models: list[str] = Field(description="names of all models of the service")


class Health(BaseModel):
    """Status of the process."""

    status: str
    models: list[str] | None = Field(None, description="with several models: their names")


class ModelStatus(BaseModel):
    """Version of the model that answers."""

    status: str
    version: str = Field(description="with several models: the name and version of each")


class ErrorResponse(BaseModel):
    """An error message."""

    detail: Any
