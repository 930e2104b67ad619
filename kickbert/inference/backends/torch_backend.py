"""PyTorch in fp32 or bf16, on a GPU if there is one."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from kickbert.models.classifier import ProbabilityModel
from kickbert.utils.devices import best_device, limit_threads

if TYPE_CHECKING:
    from kickbert.models.joint_model import JointModel


class TorchBackend:
    """A model in PyTorch, which parallelizes each call by itself.

    Args:
        model: the network of one task or of several.
        name: "torch" for fp32, "torch-bf16" for bf16.
    """

    workers = 1
    padding_budget = 128

    def __init__(self, model: "ProbabilityModel | JointModel", name: str = "torch"):
        limit_threads()
        self.name = name
        self.device = best_device()
        self.model = model.to(self.device)

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        inputs = [torch.from_numpy(x).to(self.device) for x in (ids, mask, document_weights) if x is not None]
        bf16 = self.name == "torch-bf16"
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            probs: torch.Tensor = self.model(*inputs)
            return probs.float().cpu().numpy()
