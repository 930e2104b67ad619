"""Settings that cannot work are refused before anything is loaded."""

import re

import pytest

from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.serving.settings import Settings


@pytest.mark.parametrize("key", ["", " ", "a ", "schlüssel", "a\nb"])
def test_a_key_that_protects_nothing_or_lets_nobody_in_is_refused(key):
    with pytest.raises(ValueError, match="give another one, or none"):
        Settings("k", api_key=key)


def test_private_metrics_need_a_key():
    with pytest.raises(ValueError, match="give an api_key too"):
        Settings("k", private_metrics=True)
    assert Settings("k", private_metrics=True, api_key="secret").private_metrics


def test_a_request_never_has_more_texts_than_there_is_room_for():
    assert Settings("k", room=50).most_texts == 50 and Settings("k", room=50, most_texts=10).most_texts == 10


def test_several_models_share_layers_in_torch_alone_and_read_the_same_columns(served):
    with pytest.raises(ValueError, match="backend='onnx' is for one model"):
        Settings(["a", "b"], backend="onnx")
    assert Settings("a").several is False and Settings(["a"]).several and Settings({"x": "a"}, "torch").several
    assert Settings(served / "one").reads() == Settings([served / "one"]).reads() == (["text"], ["bad", "good"], True)
    other = "two reads ['text', 'more'], and one ['text']; serve models of other columns apart"
    with pytest.raises(ArtifactError, match=re.escape(other)):
        Settings([served / "one", served / "two"]).reads()
