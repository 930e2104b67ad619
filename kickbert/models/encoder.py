"""A Hugging Face encoder with named layer groups, of which any prefix or suffix can be run alone.

No model's forward is written again here. The prefix of depth d is the model's own forward, stopped where layer d
receives its input. The suffix is the model's own forward with its embeddings replaced by the given states and its list
of layers cut, so that masks, relative positions and rotary tables are made by the model itself.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from kickbert.models.attention import use_attention
from kickbert.models.dropout import set_dropout, use_dropout
from kickbert.models.first_token import first_token_only
from kickbert.utils.hub import UnavailableModel, load

# Where an architecture keeps its layers. ALBERT runs one shared layer many times: its whole encoder is one layer here.
LAYERS = {"albert": "encoder", "distilbert": "transformer.layer", "modernbert": "layers"} | dict.fromkeys(
    (
        "bert", "big_bird", "camembert", "deberta", "deberta-v2", "electra", "longformer", "mobilebert", "mpnet",
        "roberta", "xlm-roberta",
    ),
    "encoder.layer",
)  # fmt: skip


class _Reached(Exception):
    """Carries the hidden states out of a forward that need not go further."""

    def __init__(self, hidden: Tensor):
        self.hidden = hidden


class _Given(nn.Module):
    """Stands in for the embeddings and hands back given states, padded as the model padded its ids."""

    def __init__(self, hidden: Tensor):
        super().__init__()
        self.hidden = hidden

    def forward(self, input_ids: Tensor | None = None, *args, **kwargs) -> Tensor:
        extra = input_ids.shape[1] - self.hidden.shape[1]  # Longformer pads to a multiple of its window
        return nn.functional.pad(self.hidden, (0, 0, 0, extra)) if extra else self.hidden


class Encoder(nn.Module):
    """A transformer encoder of which the first or the last layers can be run alone, with its parameters in groups.

    Depth d counts layers: depth 0 is what the embeddings give to the first layer, depth `n_layers` is what the whole
    body returns. `suffix(prefix(ids, mask, d), mask, d) == forward(ids, mask)` at every depth, on all valid tokens.

    Args:
        body: a transformers encoder, such as `AutoModel.from_pretrained("roberta-base")`.
    Raises:
        ValueError: an architecture whose layers are not in the table `LAYERS`.
    """

    def __init__(self, body: PreTrainedModel):
        super().__init__()
        kind = _supported(body.config)
        if getattr(body, "pooler", None) is not None:
            body.pooler = None  # pooling is the head's; many checkpoints have no weights for this one
        if kind == "big_bird":  # a short batch would turn its sparse attention into the full one for good
            body.set_attention_type("original_full")
            body.config.attention_type = "original_full"
        use_attention(body)
        use_dropout(body)
        self.body = body
        self._parent, self._name = LAYERS[kind].rpartition(".")[::2]

    @property
    def layers(self) -> list[nn.Module]:
        """The layers in the order in which they run."""
        layers = getattr(self.body.get_submodule(self._parent), self._name)
        return list(layers) if isinstance(layers, nn.ModuleList) else [layers]

    @property
    def n_layers(self) -> int:
        """Number of layers, the largest depth."""
        return len(self.layers)

    @property
    def width(self) -> int:
        """Size of a hidden state."""
        return self.body.config.hidden_size

    @property
    def max_length(self) -> int:
        """Most tokens of a row, special ones included, that there are position embeddings for."""
        table = getattr(self.body.embeddings, "position_embeddings", None)
        if isinstance(table, nn.Embedding) and table.padding_idx is not None:
            return table.num_embeddings - table.padding_idx - 1  # RoBERTa counts positions from the padding index on
        return self.body.config.max_position_embeddings

    def modules_by_group(self) -> list[list[nn.Module]]:
        """Modules in the order of `groups`: those in no layer, this one among them, then those of each layer."""
        return [_modules(self, self.layers), *map(_modules, self.layers)]

    def first_layers(self, count: int) -> "Encoder":
        """A copy of the embeddings and the first `count` layers, an encoder by itself; all of it trains.

        Raises:
            ValueError: fewer than one layer, or more than there are.
        """
        if not 1 <= count <= self.n_layers:
            raise ValueError(f"layers={count} is outside 1 to {self.n_layers}, the layers of this encoder")
        body = deepcopy(self.body)
        parent, config = body.get_submodule(self._parent), body.config
        if count < self.n_layers:
            setattr(parent, self._name, getattr(parent, self._name)[:count])
            for name, value in config.to_dict().items():  # Longformer's windows, ModernBERT's kinds of layer
                if isinstance(value, list) and len(value) == self.n_layers:
                    setattr(config, name, value[:count])
            config.num_hidden_layers = count
        return Encoder(body.requires_grad_(True))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by group: `embeddings` (everything outside the layers), then one group per layer."""
        layers = {f"layer {i + 1}": list(layer.parameters()) for i, layer in enumerate(self.layers)}
        inside = {id(p) for group in layers.values() for p in group}
        return {"embeddings": [p for p in self.body.parameters() if id(p) not in inside], **layers}

    def forward(self, ids: Tensor, mask: Tensor, first: bool = False) -> Tensor:
        """Last hidden states, of all layers.

        Args:
            ids: token ids, int64, shape (batch, tokens); those of padding may be any.
            mask: attention mask, True at tokens and False at padding, bool, shape (batch, tokens).
            first: whether the last layer may compute its first token alone, which saves most of its work.
        Returns:
            Shape (batch, tokens, width); of the first token alone (batch, 1, width).
        """
        pad = self.body.config.pad_token_id or 0
        return self._run(ids.masked_fill(~mask, pad), mask, first, **self.token_types(ids))

    @property
    def pair_separator(self) -> int | None:
        """The token that ends the first of several texts, where the body tells them apart by token types; else None.

        It is kept in the body's configuration, and so with its weights, and in the cache's keys.
        """
        return getattr(self.body.config, "pair_separator", None)

    @pair_separator.setter
    def pair_separator(self, token: int | None) -> None:
        typed = (getattr(self.body.config, "type_vocab_size", None) or 0) > 1
        self.body.config.pair_separator = token if typed else None

    def token_types(self, ids: Tensor) -> dict[str, Tensor]:
        """Token types as pretraining had them (Devlin et al. 2019, section 3): 0 up to the first separator, then 1.

        Returns:
            `token_type_ids`, int64, of the shape of `ids`; nothing where the body has one type only.
        """
        if self.pair_separator is None:
            return {}
        separators = (ids == self.pair_separator).long()
        return {"token_type_ids": (separators.cumsum(1) - separators).clamp(max=1)}

    def prefix(self, ids: Tensor, mask: Tensor, depth: int, first: bool = False) -> Tensor:
        """Hidden states after the embeddings and the first `depth` layers; arguments and result as in `forward`."""
        self._check(depth)
        return self._until(depth, lambda: self(ids, mask, first), ids.shape[1])

    def between(self, hidden: Tensor, mask: Tensor, depth: int, stop: int, first: bool = False) -> Tensor:
        """Hidden states of depth `stop`, computed from those of `depth`, both of shape (batch, tokens, width)."""
        self._check(depth)
        self._check(stop)
        if depth >= stop:
            return hidden

        def run() -> Tensor:
            with self._cut(hidden, depth):
                return self._run(torch.zeros(mask.shape, dtype=torch.long, device=mask.device), mask, first)

        return self._until(stop, run, mask.shape[1])

    def suffix(self, hidden: Tensor, mask: Tensor, depth: int, first: bool = False) -> Tensor:
        """Last hidden states, as `forward` returns them, computed from the hidden states of `depth`."""
        return self.between(hidden, mask, depth, self.n_layers, first)

    def _until(self, depth: int, run: Callable[[], Tensor], tokens: int) -> Tensor:
        """The input of the layer after `depth` in the forward that `run` runs; at the last depth its result."""
        if depth == self.n_layers:
            return run()

        def stop(module: nn.Module, args: tuple, kwargs: dict) -> None:
            raise _Reached(args[0] if args else kwargs["hidden_states"])

        hook = self.layers[depth].register_forward_pre_hook(stop, with_kwargs=True)
        try:
            run()
        except _Reached as reached:
            return reached.hidden[:, :tokens]
        finally:
            hook.remove()
        raise RuntimeError(f"layer {depth + 1} of {self.body.config.model_type} was never run")

    def _run(self, ids: Tensor, mask: Tensor, first: bool, **token_types: Tensor) -> Tensor:
        with first_token_only(self.layers[-1], self.body.config) if first else nullcontext():
            return self.body(input_ids=ids, attention_mask=mask.long(), **token_types)[0][:, : ids.shape[1]]

    def _check(self, depth: int) -> None:
        if not 0 <= depth <= self.n_layers:
            raise ValueError(f"depth={depth} is outside 0 to {self.n_layers}, the layers of this encoder")

    @contextmanager
    def _cut(self, hidden: Tensor, depth: int) -> Iterator[None]:
        parent = self.body.get_submodule(self._parent)
        swaps = [(self.body, "embeddings", _Given(hidden))]
        if hasattr(self.body, "embeddings_project"):  # ELECTRA widens its embeddings: the given states are wide already
            swaps.append((self.body, "embeddings_project", nn.Identity()))
        if depth:
            swaps.append((parent, self._name, nn.ModuleList(self.layers[depth:])))
            if getattr(parent, "conv", None) is not None:  # DeBERTa-v2 convolves after its first layer only
                swaps.append((parent, "conv", None))
        kept = [(module, name, getattr(module, name)) for module, name, _ in swaps]
        for module, name, new in swaps:
            setattr(module, name, new)
        try:
            yield
        finally:
            for module, name, old in kept:
                setattr(module, name, old)


def _modules(root: nn.Module, without: Sequence[nn.Module] = ()) -> list[nn.Module]:
    """A module and all within it, but not those within the modules of `without`; quicker than torch's generators."""
    left_out, modules = {id(None), *map(id, without)}, [root]
    for module in modules:  # which grows meanwhile
        modules += [child for child in module._modules.values() if id(child) not in left_out]
    return modules


def _supported(config: PretrainedConfig) -> str:
    """The architecture of a configuration.

    Raises:
        ValueError: its layers are not in the table `LAYERS`.
    """
    if config.model_type not in LAYERS:
        raise ValueError(f"model type {config.model_type!r} is not supported; supported are {sorted(LAYERS)}")
    return config.model_type


def load_config(model: str | Path, **hub: Any) -> PretrainedConfig:
    """Load a model's configuration, before anything larger is downloaded; arguments as for `load_encoder`.

    Raises:
        ValueError: the model cannot be found, or is of no supported architecture.
    """
    try:
        config = load(AutoConfig.from_pretrained, model, **hub)
    except (UnavailableModel, ImportError):
        raise
    except ValueError as err:
        if "model type" not in str(err) and "model_type" not in str(err):
            raise
        reason = " ".join(str(err).split(". ")[0].split())
        raise ValueError(f"model={str(model)!r} is not supported ({reason}); supported are {sorted(LAYERS)}") from err
    _supported(config)
    return config


def load_encoder(
    model: str | Path = "roberta-base", dropout: float = 0.0, config: PretrainedConfig | None = None, **hub: Any
) -> Encoder:
    """Load a pretrained encoder.

    Args:
        model: hub id, folder written by `save_pretrained`, or "minilm".
        dropout: probability with which the encoder's layers drop units in training, wherever the architecture does.
        config: of `load_config`, where it is loaded already.
        hub: `revision`, and `trust_remote_code`, of `from_pretrained`.
    Raises:
        ValueError: the model cannot be found, lacks weights, is of no supported architecture; or dropout is no share.
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"encoder_dropout={dropout} is not between 0 and 1")
    config = config or load_config(model, **hub)
    set_dropout(config, dropout)
    how = {"config": config, "dtype": torch.float32, "output_loading_info": True, **hub}
    body, info = load(AutoModel.from_pretrained, model, **how)
    lacking = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if lacking:  # transformers would go on with random numbers
        raise ValueError(
            f"model={str(model)!r} has no weights for {lacking[:3]}{' and more' * (len(lacking) > 3)}, which a "
            f"{config.model_type} has; save it again with save_pretrained"
        )
    return Encoder(body)
