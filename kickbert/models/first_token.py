"""Compute only the first token in a layer: keys and values of all tokens, everything else for one.

A head that reads only the first token needs no more of the last layer, and this saves about five sixths of its work.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn
from transformers import PreTrainedConfig

# By architecture: a layer's query projection, and the modules after the attention that receive all tokens.
FIRST_TOKEN: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        ("bert", "camembert", "electra", "roberta", "xlm-roberta"), ("attention.self.query", ("attention.output",))
    ),
    "distilbert": ("attention.q_lin", ("attention.out_lin", "sa_layer_norm")),
    "mpnet": ("attention.attn.q", ("attention.attn.o", "attention.LayerNorm")),
}


@contextmanager
def first_token_only(layer: nn.Module, config: PreTrainedConfig) -> Iterator[None]:
    """Let a layer compute only the first token's state, shape (batch, 1, width).

    Args:
        layer: a layer; it computes all tokens if its architecture is not in `FIRST_TOKEN`.
        config: the model's configuration.
    """
    chunked = getattr(config, "chunk_size_feed_forward", 0)  # one token cannot be cut into chunks
    if chunked or config.model_type not in FIRST_TOKEN:
        yield
        return
    query, later = FIRST_TOKEN[config.model_type]
    parent_name, _, name = query.rpartition(".")
    parent = layer.get_submodule(parent_name)
    with ExitStack() as undo:
        undo.callback(setattr, parent, name, getattr(parent, name))
        setattr(parent, name, _FirstQuery(getattr(parent, name)))
        for module in later:
            undo.enter_context(layer.get_submodule(module).register_forward_pre_hook(_first_tokens))
        yield


class _FirstQuery(nn.Module):
    """Projects the first token and returns it in place of all tokens, since the layer expects their shape."""

    def __init__(self, project: nn.Module):
        super().__init__()
        self.project = project

    def forward(self, hidden: Tensor) -> Tensor:
        query: Tensor = self.project(hidden[:, :1])
        return query.expand(-1, hidden.shape[1], -1)


def _first_tokens(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(states[:, :1] for states in args)
