"""Run logs: the history of a training run in TensorBoard, Weights & Biases, MLflow or CSV files.

Input: the events of a fit. Output: event files, tables, runs of a tracker. Start reading at `callback.RunLog`."""
