"""Limits on JSON bodies that apply before they are parsed."""

import json
import time
from contextlib import suppress

import pytest
from fastapi import HTTPException

from kickbert.serving.json_limits import check_json


def test_a_body_within_the_limit_passes():
    check_json(json.dumps({"texts": ['a, "b" [c] {d}', {"text": "\\"}, "ü\n"], "min_confidence": 0.5}).encode(), 12)
    check_json(json.dumps({"texts": "[,{," * 1_000}).encode(), 3)
    check_json(b'\xef\xbb\xbf"a"', 1)  # a byte order mark, as on Windows


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 200 + b"1]",
        b"[" + b'"",' * 200,
        b"[" * 200,
        b'{"a":' * 200,
        b"{" + b'"a":1,' * 200,
        b'["\\"",' + b"1," * 200,
    ],
)
def test_too_many_tokens_are_refused(body):
    with pytest.raises(HTTPException) as err:
        check_json(body, 100)
    assert err.value.status_code == 413


def test_utf_16_cannot_hide_tokens():
    with pytest.raises(HTTPException) as err:
        check_json('"∢", [1'.encode("utf-16") + b", 1" * 50, 100)
    assert err.value.status_code == 400


@pytest.mark.parametrize("part", [b"a", b'\\"', b"\\n", b'"', b"\\", b"{", b" "])
def test_time_is_linear_in_the_size(part):
    body, start = b'"' + part * (2**21 // len(part)), time.perf_counter()
    with suppress(HTTPException):
        check_json(body, 10_000)
    assert time.perf_counter() - start < 2  # quadratic time would be hours
