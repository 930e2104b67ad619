"""A cheap check, in every epoch, that a frozen prefix has not changed since its keys were computed."""

import operator
from typing import Any

import torch
from torch import nn

from kickbert.cache.keys import own_tensors

COMPARED = 2**17  # prefixes with at most this many weights are compared completely
SAMPLE = 16  # weights compared per tensor in a larger prefix


class Snapshot:
    """The state of a prefix at one time; computing its keys in each epoch would take half of a short one.

    torch's version counters record changes in place, but not those through `.data`. So the weights are compared too:
    all of a small model, and a few per tensor of a larger one, which detects every change of a whole tensor.

    Args:
        precision: the model's precision.
        modules: the modules, from `prefix_modules`.
    """

    def __init__(self, precision: str, modules: list[nn.Module]):
        self.objects, self.versions = _state(precision, modules)
        tensors = list(own_tensors(modules))
        complete = sum(t.numel() for t in tensors) <= COMPARED
        # The stride is odd: a multiple of the width would only pick weights of one column.
        self.views = [t.detach().reshape(-1)[:: 1 if complete else t.numel() // SAMPLE | 1] for t in tensors]
        self.sample = torch.cat(self.views)

    def holds(self, precision: str, modules: list[nn.Module]) -> bool:
        """Return whether the prefix is unchanged."""
        objects, versions = _state(precision, modules)
        if versions != self.versions or len(objects) != len(self.objects):
            return False
        return all(map(operator.is_, objects, self.objects)) and torch.equal(torch.cat(self.views), self.sample)


def _state(precision: str, modules: list[nn.Module]) -> tuple[list[Any], list[tuple[int, int]]]:
    """Every object set on the modules, to be compared by identity; and the versions and addresses of their tensors."""
    tensors = list(own_tensors(modules))
    objects = [precision, *modules, *map(type, modules), *tensors]
    for module in modules:
        objects += vars(module).values()
    return objects, [(t._version, t.data_ptr()) for t in tensors]
