"""What a service is asked and what it answers: the JSON of each, checked by pydantic."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Text = str | dict[str, str]


class Strict(BaseModel):
    """No field but those that are named, and no number where a text belongs."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Ask(Strict):
    """Texts to label: one, or many. For a model of several columns each is an object with a text for each column."""

    texts: Text | Annotated[list[Text], Field(min_length=1)]
    min_confidence: Annotated[float, Field(ge=0, le=1)] | None = None


class Why(Strict):
    """A text to explain, and the class to explain it for; without one the likeliest."""

    text: Text
    label: str | None = None


class Answer(BaseModel):
    """What is said of a text."""

    label: Any = Field(None, description="the class; null where there is no text, or not enough confidence")
    labels: list | None = Field(None, description="of a model of several labels: those that reach their threshold")
    value: float | None = Field(None, description="of a model of numbers")
    confidence: float | None = Field(None, description="probability of the label")
    expected: float | None = Field(None, description="of ordered buckets: the expected number, in its own unit")
    probabilities: dict[str, float] | None = None


class Answers(BaseModel):
    """An answer for each text, in their order."""

    version: str
    predictions: list[Answer]


class Word(BaseModel):
    """A word and what it does to the answer: above zero it speaks for it."""

    word: str
    score: float


class Because(BaseModel):
    """Which words speak for and against a class."""

    label: str
    value: float
    words: list[Word]


class About(BaseModel):
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
