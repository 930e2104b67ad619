"""Targets in fastai: codes as its tensors, and the Transforms between what people read and codes."""

import numpy as np
import torch
from fastai.data.transforms import Categorize, MultiCategorize, OneHotEncode
from fastai.torch_core import TensorBase, TensorCategory, TensorMultiCategory, TitledFloat
from fasttransform import Transform
from torch import Tensor

from kickbert.targets.kinds import MULTI, REGRESSION, Numbers, Target


def tensor(target: Target, codes: np.ndarray) -> Tensor:
    """Codes of a target as fastai's type."""
    kind = {MULTI: TensorMultiCategory, REGRESSION: TensorBase}.get(target.task, TensorCategory)
    return kind(torch.from_numpy(codes))


class Scaled(Transform):
    """A fastai Transform of a number to what the model learns, and back."""

    def __init__(self, target: Numbers):
        super().__init__()
        self.target = target

    def encodes(self, x):
        return tensor(self.target, self.target.scaled(np.array([x])))[0]

    def decodes(self, x):
        return TitledFloat(self.target.unscaled(np.asarray(x, dtype=float)).reshape(-1)[0])


def transforms(target: Target) -> list[Transform]:
    """From a target as fastai's datasets hold it (`target.shown`) to its code, and back."""
    if target.task == REGRESSION:
        return [Scaled(target)]
    if target.task == MULTI:
        return [MultiCategorize(vocab=target.names), OneHotEncode(c=len(target.classes))]
    category = Categorize(vocab=target.names, sort=False)
    category.setups(None)  # fastai sets the number of classes there
    return [category]
