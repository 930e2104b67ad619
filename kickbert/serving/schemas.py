"""What a service is asked and what it answers: the JSON of each, checked by pydantic."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model


class Strict(BaseModel):
    """No field but those that are named, and no number where a text belongs."""

    model_config = ConfigDict(extra="forbid", strict=True)


def requests_of(
    columns: list[str], labels: list[str], sure: bool, most_chars: int, most_texts: int
) -> tuple[type[Strict], type[Strict]]:
    """What a service of these columns and labels is asked: texts to label, and a text to explain.

    Args:
        columns: of the model; of several, a text is an object with each of them.
        labels: its classes.
        sure: whether it has one label a text, which may be held back.
        most_chars, most_texts: told in the description, and checked elsewhere: they are answered with 413.
    """
    text: Any = Annotated[str, Field(description=f"at most {most_chars:,} characters")]
    whole = create_model("Row", __base__=Strict, **{f"c{i}": (text, Field(alias=c)) for i, c in enumerate(columns)})
    one: Any = text | whole if len(columns) == 1 else whole
    many = Annotated[list[one], Field(min_length=1, description=f"at most {most_texts:,}")]
    fields: dict[str, Any] = {"texts": (one | many, Field(description="one text, or many"))}
    if sure:
        share = Annotated[float, Field(ge=0, le=1)]
        fields["min_confidence"] = (share | None, Field(None, description="no label below it"))
    ask = create_model("Ask", __base__=Strict, __doc__="Texts to label.", **fields)
    why = create_model(
        "Why",
        __base__=Strict,
        __doc__="A text to explain, and the class to explain it for; without one the likeliest.",
        text=(one, Field(description="a text with at least one word")),
        label=(Literal[tuple(labels)] | None, None),
    )
    return ask, why


class Prediction(BaseModel):
    """What is said of a text."""

    label: Any = Field(None, description="the class; null where there is no text, or not enough confidence")
    labels: list | None = Field(None, description="of a model of several labels: those that reach their threshold")
    value: float | None = Field(None, description="of a model of numbers")
    confidence: float | None = Field(None, description="probability of the label")
    expected: float | None = Field(None, description="of ordered buckets: the expected number, in its own unit")
    probabilities: dict[str, float] | None = None


class PredictionResponse(BaseModel):
    """An answer for each text, in their order."""

    version: str
    predictions: list[Prediction]


class Word(BaseModel):
    """A word and what it does to the answer: above zero it speaks for it."""

    word: str
    score: float


class ExplanationResponse(BaseModel):
    """Which words speak for and against a class."""

    label: str | None
    value: float | None
    words: list[Word] = Field(description="none where there is no text")


class ModelInfo(BaseModel):
    """What a service answers with."""

    version: str
    task: str
    labels: list[str]
    text_col: list[str]
    backend: str
    card: str


class State(BaseModel):
    """Whether a service is there."""

    status: str
    version: str | None = None


class Problem(BaseModel):
    """What went wrong, and what to do."""

    detail: Any
