"""Export of a saved model to ONNX, int8, OpenVINO and torch.export. Start reading at `exporting`."""
