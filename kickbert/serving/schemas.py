"""Requests and responses of the service: the JSON of each, checked by pydantic and described in `/openapi.json`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator


class Strict(BaseModel):
    """No field but those that are named, and no number where a text belongs."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _no_default(schema: dict) -> None:
    schema.pop("default", None)


class OneOfTwo(Strict):
    """A request with `texts`, one or many, or with `text`, one."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["texts"]}, {"required": ["text"]}]})

    @model_validator(mode="after")
    def _one(self) -> "OneOfTwo":
        if len({"text", "texts"} & self.model_fields_set) != 1:
            raise ValueError("give either texts, one or many, or text, one")
        return self

    @property
    def items(self) -> list:
        """The texts, one or many, as a list."""
        texts = self.texts if "texts" in self.model_fields_set else self.text
        return texts if isinstance(texts, list) else [texts]


def request_models(
    columns: list[str], labels: list[str], single: bool, most_chars: int, most_texts: int
) -> tuple[type[OneOfTwo], type[Strict]]:
    """The models of requests to a service of these columns and labels: texts to classify, and a text to explain.

    Args:
        columns: of the model; of several, a text is an object with each of them.
        labels: its classes.
        single: whether a text has one label, which a minimum confidence may withhold.
        most_chars, most_texts: limits that the description names; they are checked elsewhere, and answered with 413.
    """
    cell: Any = Annotated[str, Field(description=f"at most {most_chars:,} characters")]
    row = create_model("Row", __base__=Strict, **{f"c{i}": (cell, Field(alias=c)) for i, c in enumerate(columns)})
    one: Any = cell | row if len(columns) == 1 else row
    many = Annotated[list[one], Field(min_length=1, description=f"at most {most_texts:,}")]
    fields: dict[str, Any] = {
        "texts": (one | many, Field(None, description="one text, or many", json_schema_extra=_no_default)),
        "text": (one, Field(None, description="one text, in place of texts", json_schema_extra=_no_default)),
    }
    if single:
        probability = Annotated[float, Field(ge=0, le=1)]
        fields["min_confidence"] = (probability | None, Field(None, description="no label below it"))
    prediction = create_model("PredictionRequest", __base__=OneOfTwo, __doc__="Texts to classify.", **fields)
    explanation = create_model(
        "ExplanationRequest",
        __base__=Strict,
        __doc__="A text to explain, and the class to explain it for; without one the most probable.",
        text=(one, Field(description="a text with at least one word")),
        label=(Literal[tuple(labels)] | None, None),
    )
    return prediction, explanation


class Prediction(BaseModel):
    """The prediction of a text."""

    label: Any = Field(
        None,
        description="predicted class (of ordered ones the median); null without text or enough confidence",
    )
    labels: list | None = Field(None, description="of a multi-label model: the classes that reach their threshold")
    value: float | None = Field(None, description="of a regression model: the predicted number")
    confidence: float | None = Field(None, description="probability of the predicted class")
    expected: float | None = Field(None, description="of ordered buckets: the expected value, in its own unit")
    probabilities: dict[str, float] | None = Field(None, description="of each class")


class PredictionResponse(BaseModel):
    """A prediction for each text, in their order."""

    version: str = Field(description="of the model that predicted")
    predictions: list[Prediction]


class ManyPredictionsResponse(BaseModel):
    """The predictions of several models on the same texts."""

    models: dict[str, PredictionResponse] = Field(description="by the model's name")


class WordScore(BaseModel):
    """A word and its attribution score."""

    word: str
    score: float = Field(description="above zero where the word makes the class more probable")


class ExplanationResponse(BaseModel):
    """Attribution scores of the words of a text for a class, by occlusion."""

    label: str | None = Field(description="the class that is explained")
    value: float | None = Field(description="its probability, or the predicted number")
    words: list[WordScore] = Field(description="in the order of the text; none where there is no text")


class ModelInfo(BaseModel):
    """The model that a service runs."""

    name: str
    version: str
    encoder: str = Field(description="its architecture and number of layers")
    task: str
    labels: list[str]
    text_col: list[str]
    backend: str
    metrics: dict[str, float] = Field(description="scores on `evaluated_on`, by name; empty where it has none")
    evaluated_on: str = Field(description="the rows that the scores are of")
    examples: list[str] = Field(description="texts to try")
    card: str = Field(description="the model card, Markdown; empty where there is none")
    models: list[str] = Field(description="names of all models that answer")


class Health(BaseModel):
    """Whether the process runs."""

    status: str


class ModelStatus(BaseModel):
    """Which version of the model answers."""

    status: str
    version: str = Field(description="of several models each after its name")


class ErrorResponse(BaseModel):
    """What went wrong, and what to do."""

    detail: Any
