"""Logs of training: a line per epoch everywhere, progress bars in a terminal or a notebook."""

from fastai.callback.progress import ProgressCallback


def epoch_line(names: list[str], values: list, title: str = "") -> str:
    """One line of a training log.

    >>> epoch_line(["epoch", "train_loss", "accuracy", "time"], [0, 1.25, 0.5, "00:03"], "1/2 head")
    '1/2 head  epoch 1  train_loss 1.2500  accuracy 0.5000  00:03'
    """
    fields = [title] if title else []
    for name, value in zip(names, values, strict=False):
        if name == "epoch":
            fields.append(f"epoch {value + 1}")
        elif name == "time":
            fields.append(str(value))
        elif value is not None:
            fields.append(f"{name} {value:.4f}")
    return "  ".join(fields)


class Progress(ProgressCallback):
    """fastai's progress bars; while `fit_gradual` runs, each epoch's line names its phase."""

    def _write_stats(self, log: list) -> None:
        if not self.learn.phase_title:
            super()._write_stats(log)
        elif log[0] != "epoch" and getattr(self, "mbar", None):  # the header's words are in each line already
            self.mbar.write(epoch_line(list(self.recorder.metric_names), log, self.learn.phase_title))
