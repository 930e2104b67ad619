"""The maximum number of tokens by architecture."""

import pytest
from transformers import AutoConfig

from kickbert.models.encoder import Encoder
from kickbert.text.token_limits import token_limit


@pytest.mark.parametrize("kind", ["bert", "roberta", "mpnet", "longformer", "distilbert", "camembert"])
def test_the_limit_is_that_of_the_loaded_encoder(kind):
    from transformers import AutoModel

    sizes = {"num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    config = AutoConfig.for_model(kind, max_position_embeddings=40, vocab_size=20, pad_token_id=1, **sizes)
    assert token_limit(config) == Encoder(AutoModel.from_config(config)).max_length
