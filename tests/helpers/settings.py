"""Changes to a model that its cache keys must record."""

import torch
from torch import nn

from helpers.encoders import random_encoder
from kickbert.models.classifier import TextClassifier
from kickbert.models.head import Head


def classifier(kind: str = "bert") -> TextClassifier:
    return TextClassifier(random_encoder(kind), Head(32, 2)).eval()


class Own(nn.Module):
    def forward(self, x):
        return x.relu()


def redefined() -> type:
    class Own(nn.Module):
        def forward(self, x):
            return x.tanh()

    Own.__qualname__ = "Own"
    return Own


def set_activation(activation):
    def change(model):
        model.encoder.layers[0].intermediate.intermediate_act_fn = activation

    return change


SETTINGS = {
    "activation": set_activation(nn.ReLU()),
    "custom activation": set_activation(Own()),
    "custom activation of the same name": set_activation(redefined()()),
    "epsilon": lambda model: setattr(model.encoder.layers[0].output.LayerNorm, "eps", 0.1),
    "epsilon of embeddings": lambda model: setattr(model.encoder.body.embeddings.LayerNorm, "eps", 0.1),
    "buffer": lambda model: model.encoder.body.embeddings.position_ids.add_(1),
    "attribute": lambda model: setattr(model.encoder.layers[0].attention.self, "scaling", 0.3),
    "tensor": lambda model: setattr(model.encoder.layers[0], "shift", torch.ones(3)),
    "function": lambda model: setattr(model.encoder.layers[0], "act", lambda x: x.relu()),
    "another function": lambda model: setattr(model.encoder.layers[0], "act", lambda x: x.tanh()),
    "attention": lambda model: model.encoder.body.set_attn_implementation("eager"),
    "precision": lambda model: setattr(model, "precision", "bf16"),
}
