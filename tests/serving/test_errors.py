"""Errors that a client gets."""

import json

from kickbert.serving.errors import SHOWN, WIDTH, short_errors


def test_errors_are_few_short_and_do_not_repeat_the_input():
    errors = [
        {"type": "t", "loc": ("body", i, "k" * 10_000), "msg": "m" * 10_000, "input": "secret"} for i in range(30)
    ]
    short = short_errors(errors)
    assert len(short) == SHOWN + 1 and short[-1]["msg"] == "and 20 more errors"
    assert short[0]["loc"][:2] == ["body", 0] and len(short[0]["loc"][2]) == len(short[0]["msg"]) == WIDTH
    assert "secret" not in json.dumps(short)
