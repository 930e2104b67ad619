"""Every old module and name leads to one that is there."""

import importlib

import pytest

from kickbert.utils.lazy import ALIASES, MODULES, NAMES


def test_new_places_are_there():
    for place in {*MODULES.values(), *ALIASES.values()}:
        importlib.import_module(place)
    for place in set(NAMES.values()) - set(MODULES.values()):
        package, _, name = place.rpartition(".")
        assert hasattr(importlib.import_module(package), name), place


@pytest.mark.parametrize("old", [*MODULES, *ALIASES])
def test_nothing_that_is_there_is_said_to_have_moved(old):
    assert old not in MODULES.values() and not (old in MODULES and old in ALIASES)
    assert importlib.util.find_spec(old).origin is None if old in ALIASES else old.count(".") == 1


def test_the_old_name_of_the_token_encoders_module():
    assert MODULES["kickbert.framing"] == "kickbert.text.tokenization"
