"""JSON bodies: what is counted before they are parsed, and how little an error says."""

import json
import time
from contextlib import suppress

import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
from fastapi import HTTPException

from kickbert.serving.parsing import ERRORS, WIDTH, JsonLimits, short_errors


def refused(body: bytes, values: int = 100) -> HTTPException:
    with pytest.raises(HTTPException) as err:
        JsonLimits(values, 100_000).parse(body)
    return err.value


def test_what_is_within_the_limit_is_parsed():
    content = {"texts": ['a, "b" [c] {d}', {"text": "\\"}, "ü\n"], "min_confidence": 0.5}
    assert JsonLimits(20, 10).parse(json.dumps(content).encode()) == content
    assert JsonLimits(2, 10).parse(b'\xef\xbb\xbf"a"') == "a"  # a byte order mark, as Windows writes it


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 200 + b"1]",
        b"[" + b'"",' * 200,
        b"[" * 200,
        b'{"a":' * 200,
        b"{" + b'"a":1,' * 200,
        b'"a' + b'\\""' * 200,
    ],
)
def test_too_many_values_are_refused_before_they_are_parsed(body):
    assert refused(body).status_code == 413


def test_commas_and_brackets_in_texts_do_not_count():
    JsonLimits(6, 10_000).check(json.dumps({"texts": "[,{," * 1_000}).encode())


@pytest.mark.parametrize("char", ["a", "ü", "😀", '"', "\\", "\n"])
def test_a_text_of_many_characters_passes_however_they_are_written(char):
    limits = JsonLimits(10, 1_000)
    for ascii_only in (True, False):
        body = json.dumps([char * 1_000], ensure_ascii=ascii_only).encode()
        assert limits.parse(body) == [char * 1_000]


def test_a_text_of_too_many_escapes_is_refused_before_it_is_parsed():
    assert refused(b'["' + b"\\n" * 500_000 + b'"]').status_code == 413


def test_a_text_in_utf_16_cannot_hide_values():
    assert refused('"∢", [1'.encode("utf-16") + b", 1" * 50).status_code in (400, 413)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\xff\xfe", 400),
        (b'"\xff"', 400),
        (b"1" * 10_000, 400),
        (b"[" * 2_000 + b"]" * 2_000, 400),
        (b"{", 422),
        (b'{"texts": "a"', 422),
        (b"NaN,", 422),
    ],
)
def test_what_is_no_json(body, code):
    err = refused(body, 5_000)
    assert err.status_code == code and len(str(err.detail)) < 400


@pytest.mark.parametrize("part", [b"a", b'\\"', b"\\n", b'"', b"\\", b"{", b" "])
def test_counting_takes_a_time_that_grows_with_the_bytes_alone(part):
    body, start = b'"' + part * (2**21 // len(part)), time.perf_counter()
    with suppress(HTTPException):
        JsonLimits(10_000, 2**21).check(body)
    assert time.perf_counter() - start < 2  # quadratic it would take hours


def test_errors_are_few_short_and_do_not_repeat_the_input():
    errors = [
        {"type": "t", "loc": ("body", i, "k" * 10_000), "msg": "m" * 10_000, "input": "secret"} for i in range(30)
    ]
    short = short_errors(errors)
    assert len(short) == ERRORS + 1 and short[-1]["msg"] == "and 20 more errors"
    assert short[0]["loc"][:2] == ["body", 0] and len(short[0]["loc"][2]) == len(short[0]["msg"]) == WIDTH
    assert "secret" not in json.dumps(short)
