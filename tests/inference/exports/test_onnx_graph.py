"""A torch.export program predicts like the model; errors of the exporter are one sentence."""

import logging
import shutil

import numpy as np
import pytest
import torch

import kickbert
from kickbert import ArtifactError
from kickbert.inference.exports.onnx_graph import write_onnx
from kickbert.models.artifact.loading import load_network
from kickbert.models.artifact.reading import read_artifact

pytest.importorskip("onnx", reason="the extra kickbert[export] is not installed")


@pytest.mark.system
def test_a_torch_export_program_predicts_like_the_model(saved, tmp_path, reviews):
    folder = shutil.copytree(saved, tmp_path / "k")
    kickbert.export(folder, reviews, ["torch-export"])
    program = torch.export.load(folder / "model.pt2").module()
    model = kickbert.load(folder, backend="torch")
    ids, mask = model._padded(model.token_encoder.encode_batch(["a bright film", "bad"])[0])
    probs = program(torch.from_numpy(ids), torch.from_numpy(mask)).detach().numpy()
    np.testing.assert_allclose(probs, model.predict_proba(["a bright film", "bad"]), atol=1e-5)


def test_errors_of_the_exporter_are_one_sentence(saved, tmp_path, monkeypatch):
    network = load_network(read_artifact(saved))

    def fail(*args, **kwargs):
        raise RuntimeError("unsupported operator\nand a page of graph")

    monkeypatch.setattr(torch.onnx, "export", fail)
    level = logging.root.manager.disable
    with pytest.raises(ArtifactError, match=r"cannot export this roberta model \(RuntimeError: unsupported operator\)"):
        write_onnx(network, False, tmp_path / "model.onnx")
    assert logging.root.manager.disable == level
