"""A trained model as a folder: written atomically, checked before it is read, never a pickle.

models/k/latest          the name of the latest version
models/k/v1, v2, …       kickbert.json, config.json, model.safetensors, head.safetensors, tokenizer.json, README.md,
                         model.onnx, … and manifest.json: the size and sha256 of each file

Start reading at `reading`. Only `saving`, `loading` and `pipeline` import torch.
"""
