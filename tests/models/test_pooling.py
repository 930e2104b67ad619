import json
import warnings

import pytest

from kickbert.models.pooling import sentence_pooling


@pytest.mark.parametrize(("key", "pooling"), [("cls_token", "cls"), ("max_tokens", "max"), ("mean_tokens", "mean")])
def test_the_pooling_of_a_sentence_encoder_is_read_from_its_folder(tiny, tmp_path, key, pooling):
    assert sentence_pooling(tiny) is None
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{key}": True}))
    assert sentence_pooling(tmp_path) == pooling


@pytest.fixture
def encoder(tmp_path):
    """A folder of a sentence encoder with this pooling and further modules."""

    def make(pooling, modules=()):
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        kinds = ["Transformer", "Pooling", *modules]
        types = [{"idx": i, "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(kinds)]
        (tmp_path / "modules.json").write_text(json.dumps(types))
        return tmp_path

    return make


@pytest.mark.parametrize("mode", ["cls", "max", "mean"])
def test_the_pooling_as_sentence_transformers_6_writes_it(encoder, mode):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sentence_pooling(encoder({"pooling_mode": mode, "include_prompt": True}, ["Normalize"])) == mode


@pytest.mark.parametrize(
    ("pooling", "modules", "message"),
    [
        ({"pooling_mode_lasttoken": True}, (), "its pooling, lasttoken, is not supported; the mean is used"),
        ({"pooling_mode": "weightedmean"}, (), "its pooling, weightedmean, is not supported"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, (), "mean_tokens and cls_token"),
        ({"pooling_mode_mean_tokens": True}, ("Dense",), "its module Dense is not used"),
    ],
)
def test_what_is_not_used_of_a_sentence_encoder_is_named(encoder, pooling, modules, message):
    with pytest.warns(UserWarning, match=message):
        assert sentence_pooling(encoder(pooling, modules)) == "mean"
