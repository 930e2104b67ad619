"""JSON of requests, as the service reads and describes it."""

import pytest
from pydantic import ValidationError

from kickbert.serving.schemas import request_models


@pytest.fixture
def one():
    return request_models(["text"], ["bad", "good"], True, 100, 10)


@pytest.fixture
def two():
    return request_models(["title", "body of it"], ["1", "2"], False, 100, 10)


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ({"texts": "a"}, 1),
        ({"text": "a"}, 1),
        ({"texts": ["a", "b"]}, 2),
        ({"texts": {"text": "a"}}, 1),
        ({"text": {"text": "a"}, "min_confidence": None}, 1),
    ],
)
def test_one_text_or_many(one, content, count):
    assert len(one[0].model_validate(content).items) == count


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"text": "a", "texts": "a"},
        {"text": ["a"]},
        {"text": None},
        {"texts": None},
        {"texts": []},
        {"texts": 1},
        {"texts": [1]},
        {"texts": "a", "more": 1},
        {"texts": "a", "min_confidence": "0.5"},
        {"texts": {"text": "a", "more": "b"}},
        {"texts": "a" * 101},
        {"texts": ["a"] * 11},
    ],
)
def test_invalid_requests(one, content):
    with pytest.raises(ValidationError):
        one[0].model_validate(content)


def test_several_columns_are_all_required(two):
    request = two[0].model_validate({"text": {"title": "a", "body of it": "b"}})
    assert request.items[0] == {"title": "a", "body of it": "b"}
    for content in ({"text": "a"}, {"text": {"title": "a"}}, {"texts": ["a"], "min_confidence": 0.5}):
        with pytest.raises(ValidationError):
            two[0].model_validate(content)


def test_the_class_to_explain_exists(one):
    assert one[1].model_validate({"text": "a", "label": "good"}).label == "good"
    with pytest.raises(ValidationError, match="'bad' or 'good'"):
        one[1].model_validate({"text": "a", "label": "gut"})


def test_the_schema_has_either_field_and_no_null(one):
    schema = one[0].model_json_schema()
    assert schema["oneOf"] == [{"required": ["texts"]}, {"required": ["text"]}] and "required" not in schema
    assert "default" not in schema["properties"]["text"] and "null" not in str(schema["properties"]["texts"])
