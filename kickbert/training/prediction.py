"""What a learner stands on: a lean event loop, and prediction as `models.protocol.TextModel` has it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import event
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.callback.progress import ProgressCallback
from fastai.learner import Learner
from fastai.torch_core import to_detach
from fastcore.basics import noop

from kickbert.data.bucketing import BucketDL
from kickbert.data.dataloaders import TextDataLoaders
from kickbert.data.transforms import Tokens
from kickbert.evaluation.attribution import attribute
from kickbert.evaluation.explanation import Explanation
from kickbert.models.artifact.hub import push_to_hub
from kickbert.models.artifact.metadata import learner_metadata
from kickbert.models.artifact.saving import save_artifact
from kickbert.models.protocol import Labeled
from kickbert.targets.base import Target
from kickbert.targets.outputs import prediction_frame
from kickbert.text.columns import without_text
from kickbert.training.distributed import on_first
from kickbert.training.run_logs.callback import callbacks_by_name, end_logs
from kickbert.utils.devices import choose_precision
from kickbert.utils.hashing import digest
from kickbert.utils.messages import Described
from kickbert.utils.progress import say

TRAINED = "kickbert.evaluate(learn, test), predict_df(df), save_artifact(folder)"


class LeanLearner(Learner):
    """A fastai Learner that calls, at each event, only the callbacks that handle it, and knows run logs by name."""

    def add_cbs(self, cbs: Any) -> "LeanLearner":
        """fastai's `add_cbs`, of callbacks and names of run logs."""
        return super().add_cbs(callbacks_by_name(cbs))

    def add_cb(self, cb: Any) -> "LeanLearner":
        """fastai's `add_cb`; its `MixedPrecision`, which `to_fp16` and `to_bf16` add, sets the model's own precision.

        The model's autocast, which the cache computes in as well, stands within that of `MixedPrecision`.
        """
        if cb is not MixedPrecision and not isinstance(cb, MixedPrecision):
            return super().add_cb(cb)
        half = cb is MixedPrecision or cb.amp_mode is AMPMode.FP16
        device = next(self.model.parameters()).device
        self.model.precision = choose_precision("auto" if half else "bf16", device)
        if half:
            say(f"fp16 is not computed in; bf16 and fp32 are, and on this machine it is {self.model.precision}")
        return self

    def to_fp32(self) -> "LeanLearner":
        """Compute in fp32 from here on."""
        self.model.precision = "fp32"
        return self

    @contextmanager
    def no_bar(self) -> Iterator["LeanLearner"]:
        """fastai's `no_bar`, which brings back the same bars."""
        with self.removed_cbs(self._grab_cbs(ProgressCallback)):
            yield self

    def freeze_to(self, n: int) -> None:
        """fastai's `freeze_to`, at once even in mid-epoch."""
        super().freeze_to(n)
        self.model.train(self.model.training)  # the model looks there which prefix is frozen

    @contextmanager
    def added_cbs(self, cbs: Any) -> Iterator[None]:
        """fastai's `added_cbs`, which the fit methods call, of callbacks and names of run logs."""
        named = callbacks_by_name(cbs)
        try:
            with super().added_cbs(named):
                yield
        finally:
            end_logs(named, keep=cbs)

    def __call__(self, event_name: str | Sequence[str]) -> None:
        for name in [event_name] if isinstance(event_name, str) else event_name:
            self._call_one(name)

    def to_detach(self, b: Any, cpu: bool = True, gather: bool = True) -> Any:
        """Detach tensors as fastai does, but never gather them: batches of several processes are whole already."""
        return to_detach(b, cpu, gather=False)

    def _call_one(self, event_name: str) -> None:
        # After the fit each callback, with or without the event, is to run again; and fastai knows what is no event.
        if event_name == "after_fit" or not hasattr(event, event_name):
            return super()._call_one(event_name)
        # A callback without the event would look for it through the learner and the model: 10 to 20 µs each time.
        handlers = [cb for cb in self.cbs if event_name in vars(cb) or hasattr(type(cb), event_name)]
        for cb in sorted(handlers, key=lambda cb: cb.order):
            cb(event_name)


class PredictingLearner(Described, LeanLearner):
    """A fastai Learner of texts that predicts as a `Predictor` does; `predict` and `get_preds` are fastai's.

    What a `DataBlock` made knows no columns of a DataFrame, and raises a ValueError where they are needed.
    """

    @property
    def text_dls(self) -> TextDataLoaders:
        """The DataLoaders, which know the columns and the target of a DataFrame.

        Raises:
            ValueError: a DataBlock made them.
        """
        if not isinstance(self.dls, TextDataLoaders):
            raise ValueError(
                "a DataBlock's learner knows no columns of a DataFrame, which predict_df, evaluate, explain, "
                "save_artifact and what else reads one need: learner_from_df(df, text_col=…, label_col=…) makes one "
                "that does; of this one, learn.get_preds(dl=learn.dls.test_dl(df)) predicts"
            )
        return self.dls

    @property
    def groups(self) -> pd.DataFrame:
        """A row per group: its name, number of parameters, whether it trains, and its learning rate."""
        groups, rate_of = self.model.groups(), {}
        if self.opt is not None:
            rate_of = {id(p): h["lr"] for ps, h in zip(self.opt.param_lists, self.opt.hypers, strict=True) for p in ps}
        rates = [rate_of.get(id(ps[0]), self.lr) if ps else 0.0 for ps in groups.values()]
        rows = [
            {"group": name, "parameters": sum(p.numel() for p in ps), "trainable": any(p.requires_grad for p in ps)}
            for name, ps in groups.items()
        ]
        return pd.DataFrame(rows).assign(lr=np.where([r["trainable"] for r in rows], rates, 0.0))

    def facts(self) -> dict[str, str]:
        """Task, columns, rows, encoder, what trains, last scores, next step: what `repr` shows."""
        dls = self.dls.facts() if isinstance(self.dls, Described) else {}
        encoder, scores = self.model.encoder, self._last_scores()
        trainable = self.groups.loc[lambda table: table["trainable"]]
        size, names = f"{trainable['parameters'].sum():,} parameters", trainable["group"].tolist()
        trains = f"{size}: {names[0]} to {names[-1]}" if names[1:] else ": ".join([size, *names])
        kind = f"{encoder.body.config.model_type}, {encoder.n_layers} layers of {encoder.width}"
        return {name: dls[name] for name in ("task", "columns", "rows") if name in dls} | {
            "encoder": f"{kind}; pooling {self.model.head.pooling}",
            "trains": trains,
            "validation": "  ".join(f"{name} {value:.4f}" for name, value in scores.items()) or "not trained yet",
            "next": TRAINED if scores else "fit_gradual()",
        }

    def _last_scores(self) -> dict[str, float]:
        """Losses and metrics of the validation rows after the last epoch in this process; empty before any."""
        if fits := getattr(getattr(self, "history", None), "fits", None):
            last = fits[-1].final
        else:  # few labels, or a run that another process finished
            names = ["train_loss", "valid_loss", *(metric.name for metric in self.metrics)]
            kept = ([{}] + [row for row in self.ladder if row.get("kept", True)])[-1]
            last = {name: kept[name] for name in names if name in kept}
        return {name: value for name, value in last.items() if not np.isnan(value)}

    @property
    def target(self) -> Target:
        """What is predicted."""
        return self.text_dls.target

    @property
    def text_col(self) -> list[str]:
        """The columns that it reads."""
        return self.text_dls.text_col

    @property
    def label_col(self) -> str | list[str]:
        """The column, or columns, that it is trained to predict."""
        return self.text_dls.label_col

    @property
    def metadata(self) -> dict[str, Any]:
        """Task, encoder, head, tokens, rows and versions, as `kickbert.json` will have them."""
        return learner_metadata(self)

    @property
    def fingerprint(self) -> str:
        """A hash of all that its predictions depend on but the texts: weights, tokenizer, temperature, precision."""
        token_encoder, temperature = self.text_dls.tokenizer.token_encoder, getattr(self.loss_func, "temperature", 1.0)
        settings = f"{self.model}{self.model.precision}{temperature}{token_encoder.to_dict()}"
        return digest(settings + token_encoder.tokenizer.to_str(), self.model.state_dict().values())

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Texts, cleaned and with their columns joined, and which rows have none (bool, shape (n,))."""
        return self.text_dls.read(items)

    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        act: Callable | None = None,
        **kwargs: Any,
    ) -> tuple:
        """fastai's `get_preds`; of no rows it gives predictions of shape (0, classes), and not None."""
        rows = self.dls[ds_idx] if dl is None else dl
        if not isinstance(rows, BucketDL) or len(rows.dataset):
            return super().get_preds(ds_idx, dl, with_input, with_decoded, with_loss, act, **kwargs)
        head, loss = self.model.head, self.loss_func
        outputs = head.classify(torch.zeros(0, head.classifier.in_features, device=head.classifier.weight.device))
        probs = (act or getattr(loss, "activation", noop))(outputs.detach().cpu())
        codes = rows.rows[1] if len(rows.rows) > 1 else None
        decoded = [getattr(loss, "decodes", noop)(probs)] if with_decoded else []
        inputs = [Tokens(torch.zeros(0, 0, dtype=torch.long))] if with_input else []
        return (*inputs, probs, codes, *decoded, *([torch.zeros(0)] if with_loss else []))

    def predict_proba(self, texts: Any) -> np.ndarray:
        """Probabilities, float32, shape (n, classes); of a number, standardised, shape (n, 1).

        Args:
            texts: a DataFrame with the text columns, or strings, tuples (a text for each column) or dicts.
        """
        return self.get_preds(dl=self.text_dls.test_dl(texts))[0].numpy()

    def decide(self, probs: np.ndarray) -> np.ndarray:
        """Decisions by probabilities, as the loss makes them: class numbers, or zeros and ones of several labels."""
        return self.loss_func.decodes(torch.from_numpy(probs)).numpy()

    def explain(self, text: Any, label: Any = None, method: str = "gradients", **options: Any) -> Explanation:
        """Explain a prediction by the words for and against a class; arguments as for `evaluation.attribution`."""
        return attribute(self, text, label, method, **options)

    def labeled_rows(self, part: str) -> Labeled | None:
        """Texts and codes of the "train" or "valid" rows; None for a learner that was loaded without rows."""
        dl = {"train": self.text_dls.train, "valid": self.text_dls.valid}[part]
        if not len(dl.dataset):
            return None
        return [row.text for row in dl.dataset.tls[0].items], dl.rows[1].numpy()

    def push_to_hub(self, repo: str, token: str | None = None, private: bool | None = None, **options: Any) -> str:
        """Save an artifact and upload it to the Hugging Face hub; `kickbert.load("user/name")` loads it from there.

        Args:
            repo, token, private, options: as for `kickbert.models.push_to_hub`; `evaluation` as for `save_artifact`.
        Returns:
            The address of the repository.
        """
        evaluation = options.pop("evaluation", None)

        def push() -> str:
            with TemporaryDirectory() as home:
                return push_to_hub(save_artifact(self, home, evaluation), repo, token, private, **options)

        return on_first(push)

    def predict_df(self, df: pd.DataFrame, min_confidence: float | None = None) -> pd.DataFrame:
        """Predict the rows of df.

        Args:
            df: has the text columns that the learner was made with.
            min_confidence: below which a row gets no label (`kickbert.threshold_for` finds one); None for always.
        Returns:
            Indexed like df: `label`, `confidence`, and `prob_<class>` for each class; for bins also `expected`, in the
            target's own unit; for several labels a list `labels` and the probabilities; for a number `value`. Of
            ordered classes the label is their median, which may not be the likeliest. A row with no text gets none.
        """
        dl = self.text_dls.test_dl(df)
        probs = self.get_preds(dl=dl)[0].numpy()
        empty = without_text([row.text for row in dl.dataset.tls[0].items])
        return prediction_frame(self.target, probs, self.decide(probs), df.index, empty, min_confidence)
