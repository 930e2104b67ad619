"""A Hugging Face encoder with named layer groups; any prefix or suffix of its layers can run alone.

No model's forward is rewritten here. The prefix of depth d is the model's own forward, stopped where layer d receives
its input. The suffix is the model's own forward with its embeddings replaced by given states and its layers cut, so
that the model itself makes masks, relative positions and rotary tables.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from kickbert.models.attention import use_attention
from kickbert.models.dropout import set_dropout, use_dropout
from kickbert.models.first_token import first_token_only
from kickbert.utils.hub import UnavailableModel, choose_model, load

# Where an architecture keeps its layers. ALBERT runs one shared layer many times, so its encoder counts as one layer.
LAYERS = {"albert": "encoder", "distilbert": "transformer.layer", "modernbert": "layers"} | dict.fromkeys(
    (
        "bert", "big_bird", "camembert", "deberta", "deberta-v2", "electra", "longformer", "mobilebert", "mpnet",
        "roberta", "xlm-roberta",
    ),
    "encoder.layer",
)  # fmt: skip


class _Reached(Exception):
    """Ends a forward pass that need not continue."""


class _FixedStates(nn.Module):
    """Replaces the embeddings and returns fixed states, padded as the model padded its ids."""

    def __init__(self, hidden: Tensor):
        super().__init__()
        self.hidden = hidden

    def forward(self, input_ids: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        extra = input_ids.shape[1] - self.hidden.shape[1]  # Longformer pads to a multiple of its window
        return nn.functional.pad(self.hidden, (0, 0, 0, extra)) if extra else self.hidden


class Encoder(nn.Module):
    """A transformer encoder with parameter groups; its first or last layers can run alone.

    Depth counts layers: depth 0 is the output of the embeddings, depth `n_layers` the output of the whole body.
    `suffix(prefix(ids, mask, d), mask, d) == forward(ids, mask)` at every depth, on all valid tokens.

    Args:
        body: a transformers encoder, such as `AutoModel.from_pretrained("roberta-base")`.
    Raises:
        ValueError: the architecture is not in the table `LAYERS`.
    """

    def __init__(self, body: PreTrainedModel):
        super().__init__()
        kind = _supported(body.config)
        if getattr(body, "pooler", None) is not None:
            setattr(body, "pooler", None)  # noqa: B010 - its type has no None; the head pools; many checkpoints lack weights for this pooler
        if kind == "big_bird":  # a short batch would switch it to full attention permanently
            cast(Any, body).set_attention_type("original_full")
            body.config.attention_type = "original_full"
        use_attention(body)
        use_dropout(body)
        self.body = body
        self._parent, self._name = LAYERS[kind].rpartition(".")[::2]

    @property
    def layers(self) -> list[nn.Module]:
        """The layers in the order they run."""
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
        """Maximum tokens per row, including special tokens, that have position embeddings."""
        table = getattr(self.body.embeddings, "position_embeddings", None)
        if isinstance(table, nn.Embedding) and table.padding_idx is not None:
            return table.num_embeddings - table.padding_idx - 1  # RoBERTa numbers positions from the padding index
        return self.body.config.max_position_embeddings

    def modules_by_group(self) -> list[list[nn.Module]]:
        """Group the modules in the order of `groups`: those outside the layers (this one too), then each layer's."""
        return [_modules(self, self.layers), *map(_modules, self.layers)]

    def first_layers(self, count: int) -> "Encoder":
        """Copy the embeddings and the first `count` layers into a new encoder; all of it trains.

        Raises:
            ValueError: `count` is less than one or more than the number of layers.
        """
        if not 1 <= count <= self.n_layers:
            raise ValueError(
                f"layers={count} must be between 1 and {self.n_layers}, the number of layers of this encoder"
            )
        body = deepcopy(self.body)
        parent, config = body.get_submodule(self._parent), body.config
        if count < self.n_layers:
            setattr(parent, self._name, getattr(parent, self._name)[:count])
            for name, value in config.to_dict().items():  # Longformer's windows, ModernBERT's layer types
                if isinstance(value, list) and len(value) == self.n_layers:
                    setattr(config, name, value[:count])
            config.num_hidden_layers = count
        return Encoder(body.requires_grad_(True))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Group the parameters: `embeddings` (everything outside the layers), then one group per layer."""
        layers = {f"layer {i + 1}": list(layer.parameters()) for i, layer in enumerate(self.layers)}
        inside = {id(p) for group in layers.values() for p in group}
        return {"embeddings": [p for p in self.body.parameters() if id(p) not in inside], **layers}

    def forward(self, ids: Tensor, mask: Tensor, first: bool = False, taps: Sequence[int] = ()) -> Tensor:
        """Compute the last hidden states.

        Args:
            ids: token ids, int64, shape (batch, tokens), with any ids at padding.
            mask: attention mask, True at tokens and False at padding, bool, shape (batch, tokens).
            first: whether the last layer may compute only the first token, which saves most of its work.
            taps: depths below the last layer, ascending, whose states are returned too, before the last ones.
        Returns:
            Shape (batch, tokens, width), or (batch, 1, width) for the first token only; with taps shape (batch, tokens,
            (len(taps) + 1) * width).
        """
        return self.prefix(ids, mask, self.n_layers, first, taps)

    @property
    def pair_separator(self) -> int | None:
        """The token that ends the first of several texts, if the body uses token types; otherwise None.

        It is stored in the body's configuration, and so with its weights and in the cache's keys.
        """
        return getattr(self.body.config, "pair_separator", None)

    @pair_separator.setter
    def pair_separator(self, token: int | None) -> None:
        typed = (getattr(self.body.config, "type_vocab_size", None) or 0) > 1
        self.body.config.pair_separator = token if typed else None

    def token_types(self, ids: Tensor) -> dict[str, Tensor]:
        """Make token types as in pretraining (Devlin et al. 2019, section 3): 0 up to the first separator, then 1.

        Returns:
            `token_type_ids`, int64, in the shape of `ids`; empty if the body has only one type.
        """
        if self.pair_separator is None:
            return {}
        separators = (ids == self.pair_separator).long()
        return {"token_type_ids": (separators.cumsum(1) - separators).clamp(max=1)}

    def prefix(self, ids: Tensor, mask: Tensor, depth: int, first: bool = False, taps: Sequence[int] = ()) -> Tensor:
        """Compute hidden states after the first `depth` layers, and those of the taps below.

        Arguments and result are those of `forward`.
        """
        self._check(depth)
        pad = self.body.config.pad_token_id or 0

        def run() -> Tensor:
            return self._run(ids.masked_fill(~mask, pad), mask, first, **self.token_types(ids))

        return side_by_side(self._until(depth, run, ids.shape[1], [t for t in taps if t < depth]))

    def between(
        self, hidden: Tensor, mask: Tensor, depth: int, stop: int, first: bool = False, taps: Sequence[int] = ()
    ) -> Tensor:
        """Compute hidden states of depth `stop` from those of `depth`, both as `prefix` returns them."""
        self._check(depth)
        self._check(stop)
        if depth >= stop:
            return hidden
        known = sum(tap < depth for tap in taps) * self.width
        start = hidden[..., known:]

        def run() -> Tensor:
            with self._cut(start, depth):
                return self._run(torch.zeros(mask.shape, dtype=torch.long, device=mask.device), mask, first)

        reached = self._until(stop, run, mask.shape[1], [t for t in taps if depth <= t < stop])
        return side_by_side([hidden[..., :known], *reached] if known else reached)

    def suffix(self, hidden: Tensor, mask: Tensor, depth: int, first: bool = False, taps: Sequence[int] = ()) -> Tensor:
        """Compute the last hidden states, as `forward` does, from the hidden states of `depth`."""
        return self.between(hidden, mask, depth, self.n_layers, first, taps)

    def _until(self, depth: int, run: Callable[[], Tensor], tokens: int, taps: Sequence[int]) -> list[Tensor]:
        """Run a forward up to the input of the layer after `depth`; return the inputs after the taps, then its own.

        At the last depth, the result of the forward is the last.
        """
        reached: list[Tensor] = []

        def keep(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
            reached.append((args[0] if args else kwargs["hidden_states"])[:, :tokens])
            if module is last:
                raise _Reached

        last = self.layers[depth] if depth < self.n_layers else None
        layers = [self.layers[tap] for tap in taps] + ([] if last is None else [last])
        hooks = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in layers]
        try:
            reached.append(run())
        except _Reached:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        if len(reached) <= len(taps):
            raise RuntimeError(f"a layer of {self.body.config.model_type} did not run")
        return reached

    def _run(self, ids: Tensor, mask: Tensor, first: bool, **token_types: Tensor) -> Tensor:
        with first_token_only(self.layers[-1], self.body.config) if first else nullcontext():
            return self.body(input_ids=ids, attention_mask=mask.long(), **token_types)[0][:, : ids.shape[1]]

    def _check(self, depth: int) -> None:
        if not 0 <= depth <= self.n_layers:
            raise ValueError(
                f"depth={depth} must be between 0 and {self.n_layers}, the number of layers of this encoder"
            )

    @contextmanager
    def _cut(self, hidden: Tensor, depth: int) -> Iterator[None]:
        parent = self.body.get_submodule(self._parent)
        swaps: list[tuple[nn.Module, str, nn.Module | None]] = [(self.body, "embeddings", _FixedStates(hidden))]
        if hasattr(self.body, "embeddings_project"):  # ELECTRA widens its embeddings; the given states are already wide
            swaps.append((self.body, "embeddings_project", nn.Identity()))
        if depth:
            swaps.append((parent, self._name, nn.ModuleList(self.layers[depth:])))
            if getattr(parent, "conv", None) is not None:  # DeBERTa-v2 only convolves after its first layer
                swaps.append((parent, "conv", None))
        kept = [(module, name, getattr(module, name)) for module, name, _ in swaps]
        for module, name, new in swaps:
            setattr(module, name, new)
        try:
            yield
        finally:
            for module, name, old in kept:
                setattr(module, name, old)


def side_by_side(states: list[Tensor]) -> Tensor:
    """Concatenate states of several depths along the width; a single one is not copied."""
    return states[0] if len(states) == 1 else torch.cat(states, -1)


def _modules(root: nn.Module, without: Sequence[nn.Module] = ()) -> list[nn.Module]:
    """List a module and its submodules, except those in `without`; faster than torch's generators."""
    left_out = {*map(id, without)}
    modules = [root]
    for module in modules:  # grows during the loop
        modules += [child for child in module._modules.values() if child is not None and id(child) not in left_out]
    return modules


def _supported(config: PretrainedConfig) -> str:
    """Return the architecture of a configuration.

    Raises:
        ValueError: it is not in the table `LAYERS`.
    """
    if config.model_type not in LAYERS:
        raise ValueError(f"model type {config.model_type!r} is not supported. Supported: {', '.join(sorted(LAYERS))}")
    return config.model_type


def load_config(model: str | Path, **hub: Any) -> PretrainedConfig:
    """Load a model's configuration, before anything larger is downloaded.

    Args:
        model: Hub id, folder or "minilm".
        hub: `revision` and `trust_remote_code` for `from_pretrained`.
    Raises:
        ValueError: the model is not found, or its architecture is not supported.
    """
    try:
        config = load(AutoConfig.from_pretrained, model, **hub)
    except (UnavailableModel, ImportError):
        raise
    except ValueError as err:
        if "model type" not in str(err) and "model_type" not in str(err):
            raise
        reason = " ".join(str(err).split(". ")[0].split())
        raise ValueError(
            f"model={str(model)!r} is not supported ({reason}). Supported: {', '.join(sorted(LAYERS))}"
        ) from err
    _supported(config)
    return config


def load_encoder(
    model: str | Path | None = None, dropout: float = 0.0, config: PretrainedConfig | None = None, **hub: Any
) -> Encoder:
    """Load a pretrained encoder.

    Args:
        model: Hub id, folder written by `save_pretrained`, or "minilm"; None for the default encoder.
        dropout: probability of dropping a unit in training, wherever the architecture has dropout.
        config: the configuration, if `load_config` has loaded it already.
        hub: `revision` and `trust_remote_code` for `from_pretrained`.
    Raises:
        ValueError: the model is not found, lacks weights or is not supported; or dropout is out of range.
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"encoder_dropout={dropout} is not between 0 and 1")
    model = choose_model(model)
    config = config or load_config(model, **hub)
    set_dropout(config, dropout)
    body, info = load(
        AutoModel.from_pretrained, model, config=config, dtype=torch.float32, output_loading_info=True, **hub
    )
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if missing:  # transformers would continue with random weights
        raise ValueError(
            f"model={str(model)!r} has no weights for {missing[:3]}{' and more' * (len(missing) > 3)}, which a "
            f"{config.model_type} needs; save it again with save_pretrained"
        )
    return Encoder(body)
