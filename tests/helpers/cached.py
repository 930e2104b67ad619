"""Train with and without the cache, and count what the frozen part computes."""

import torch

from kickbert import Cache


def losses(learn) -> torch.Tensor:
    """The smoothed training losses of the last fit."""
    return torch.stack([torch.as_tensor(x) for x in learn.recorder.losses])


def both(make, df, work, **kwargs):
    """Losses of the same work without and with the cache, and the cached learner."""
    curves = []
    for cache in (False, Cache()):
        learn = make(df, cache=cache, dropout=0.0, **kwargs)
        work(learn)
        curves.append(losses(learn))
    return (*curves, learn)


def counted(monkeypatch, learn, number: int) -> list[int]:
    """A list of the row counts of each call of a layer. It patches the class: the cache would notice a hook."""
    layer, rows = learn.model.encoder.layers[number], []
    forward = type(layer).forward

    def counting(self, hidden, *args, **kwargs):
        if self is layer:
            rows.append(len(hidden))
        return forward(self, hidden, *args, **kwargs)

    monkeypatch.setattr(type(layer), "forward", counting)
    return rows
