"""Settings that cannot work are refused before a model is loaded."""

import pytest

from kickbert.serving.settings import Settings


@pytest.mark.parametrize("key", ["", " ", "a ", "schlüssel", "a\nb"])
def test_an_unusable_key_is_refused(key):
    with pytest.raises(ValueError, match="printable ASCII"):
        Settings("k", api_key=key)


def test_private_metrics_need_a_key():
    with pytest.raises(ValueError, match="set api_key too"):
        Settings("k", private_metrics=True)
    assert Settings("k", private_metrics=True, api_key="secret").private_metrics
