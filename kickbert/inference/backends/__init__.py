"""Backends: the forward pass of a saved model by OpenVINO, ONNX Runtime or PyTorch. Start reading at `choice`."""
