"""The maximum number of tokens that an encoder can read."""

from typing import Any

FROM_PADDING = ("camembert", "longformer", "mpnet", "roberta", "xlm-roberta")  # positions follow the padding index


def token_limit(config: Any) -> int | None:
    """The number of tokens that a model has position embeddings for, special tokens included.

    Args:
        config: a transformers configuration.
    Returns:
        The number; None if the configuration does not limit it.
    """
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in FROM_PADDING:
        return positions - config.pad_token_id - 1
    return positions
