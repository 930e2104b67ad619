import json

import pytest

from kickbert.models.pooling import sentence_pooling


@pytest.mark.parametrize(("key", "pooling"), [("cls_token", "cls"), ("max_tokens", "max"), ("mean_tokens", "mean")])
def test_the_pooling_of_a_sentence_encoder_is_read_from_its_folder(tiny, tmp_path, key, pooling):
    assert sentence_pooling(tiny) is None
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{key}": True}))
    assert sentence_pooling(tmp_path) == pooling
