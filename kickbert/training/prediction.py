"""Prediction with a learner, as in `models.protocol.TextModel`."""

from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
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
from kickbert.tabular.column_model import ColumnModel
from kickbert.targets.base import Target
from kickbert.targets.outputs import prediction_frame
from kickbert.text.columns import check_columns, without_text
from kickbert.training.distributed import on_first
from kickbert.training.needed_rows import RowsLearner
from kickbert.utils.hashing import digest
from kickbert.utils.messages import Described

FIT, GRADUAL, FEW = "fit", "fit_gradual", "fit_few"  # methods that train
TRAINED = "kickbert.evaluate(learn, test), predict_df(df), save_artifact(folder)"


class PredictingLearner(Described, RowsLearner):
    """A fastai Learner that predicts texts as a `Predictor` does; `predict` and `get_preds` are fastai's.

    With the DataLoaders of a `DataBlock`, methods that need a DataFrame's columns raise a ValueError.

    Attributes:
        trained_by: the method that trained the model last; empty if none did.
    """

    trained_by = ""

    @property
    def text_dls(self) -> TextDataLoaders:
        """The DataLoaders, with the columns and the target of a DataFrame.

        Raises:
            ValueError: a DataBlock made them.
        """
        if not isinstance(self.dls, TextDataLoaders):
            raise ValueError(
                "a DataBlock's learner has no columns of a DataFrame, which predict_df, evaluate, explain and "
                "save_artifact need. Make the learner with learner_from_df(df, text_col=…, label_col=…), or predict "
                "with learn.get_preds(dl=learn.dls.test_dl(df))"
            )
        return self.dls

    @property
    def groups(self) -> pd.DataFrame:
        """One row per group: name, number of parameters, whether it trains, and learning rate."""
        groups = self.model.groups()
        rate_of: dict[int, float] = {}
        if self.opt is not None:
            rate_of = {id(p): h["lr"] for ps, h in zip(self.opt.param_lists, self.opt.hypers, strict=True) for p in ps}
        rates: list[Any] = [rate_of.get(id(ps[0]), self.lr) if ps else 0.0 for ps in groups.values()]
        rows = [
            {"group": name, "parameters": sum(p.numel() for p in ps), "trainable": any(p.requires_grad for p in ps)}
            for name, ps in groups.items()
        ]
        return pd.DataFrame(rows).assign(lr=np.where([r["trainable"] for r in rows], rates, 0.0))

    def facts(self) -> dict[str, str]:
        """Facts for `repr`: task, columns, rows, encoder, trainable groups, last scores, next step."""
        dls = self.dls.facts() if isinstance(self.dls, Described) else {}
        encoder = self.model.encoder
        scores = self.last_scores()
        trainable = self.groups.loc[lambda table: table["trainable"]]
        size = f"{trainable['parameters'].sum():,} parameters"
        names = trainable["group"].tolist()
        trains = f"{size}: {names[0]} to {names[-1]}" if names[1:] else ": ".join([size, *names])
        kind = f"{encoder.body.config.model_type}, {encoder.n_layers} layers of {encoder.width}"
        return {name: dls[name] for name in ("task", "columns", "rows") if name in dls} | {
            "encoder": f"{kind}; pooling {self.model.head.pooling}",
            "trains": trains,
            **self._training_facts(scores),
            "next": TRAINED if scores or self.trained_by else "fit_gradual()",
        }

    def _training_facts(self, scores: dict[str, float]) -> dict[str, str]:
        """Facts about the last training: the method and its phases, the scores, a fitted temperature."""
        shown = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        if not self.trained_by:
            return {"validation": shown or "not trained yet"}
        phases = [row["phase"] for row in self.ladder if row.get("kept", True)] if self.trained_by != FIT else []
        temperature = getattr(self.loss_func, "temperature", 1.0)
        facts = {"trained by": ": ".join([self.trained_by, *filter(None, [", then ".join(phases)])])}
        facts["validation"] = shown or "no validation rows"
        return facts if temperature == 1 else facts | {"calibrated": f"temperature {temperature:.3f}"}

    def last_scores(self) -> dict[str, float]:
        """Return losses and metrics after the last epoch, or after `fit_few`; empty before training."""
        fits = getattr(getattr(self, "history", None), "fits", None)
        if fits and self.trained_by in ("", FIT):
            last = fits[-1].final
        else:  # a phase of fit_few, or one whose head is solved, is no fit
            names = ["train_loss", "valid_loss", *(metric.name for metric in self.metrics)]
            kept = ([{}] + [row for row in self.ladder if row.get("kept", True)])[-1]
            last = {name: kept[name] for name in names if name in kept}
        return {name: value for name, value in last.items() if not np.isnan(value)}

    @property
    def target(self) -> Target:
        """The prediction target."""
        return self.text_dls.target

    @property
    def text_col(self) -> list[str]:
        """The text columns."""
        return self.text_dls.text_col

    @property
    def columns(self) -> ColumnModel | None:
        """The model of the columns beside the text; None if the learner reads text alone."""
        return self.text_dls.columns

    @property
    def label_col(self) -> str | list[str]:
        """The column, or columns, to predict."""
        label_col = self.text_dls.label_col
        return label_col if isinstance(label_col, str) else list(label_col)

    @property
    def metadata(self) -> dict[str, Any]:
        """Task, encoder, head, tokens, rows and versions, as in `kickbert.json`."""
        return learner_metadata(self)

    @property
    def fingerprint(self) -> str:
        """Hash of everything that predictions depend on except the texts: weights, tokenizer, temperature, …"""
        token_encoder = self.text_dls.tokenizer.token_encoder
        temperature = getattr(self.loss_func, "temperature", 1.0)
        settings = f"{self.model}{self.model.precision}{temperature}{token_encoder.to_dict()}"
        columns = self.text_dls.columns
        arrays = {} if columns is None else columns.to_arrays()
        settings += "" if columns is None else str(columns.to_dict())
        states = [*self.model.state_dict().values(), *(torch.from_numpy(array) for array in arrays.values())]
        return digest(settings + token_encoder.tokenizer.to_str(), states)

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Return cleaned texts with their columns joined, and a mask of the rows without text (bool, shape (n,))."""
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
        """fastai's `get_preds`, with predictions of shape (0, classes) for no rows, where fastai returns None.

        Raises:
            ValueError: the rows of a learner that was loaded without them.
        """
        if not self.has_rows and (
            dl is None or any(getattr(dl, "dataset", None) is own.dataset for own in self.dls.loaders)
        ):
            self.need_rows()
        rows = self.dls[ds_idx] if dl is None else dl
        if not isinstance(rows, BucketDL) or len(rows.dataset):
            return super().get_preds(ds_idx, dl, with_input, with_decoded, with_loss, act, **kwargs)
        head, loss = self.model.head, self.loss_func
        outputs = head.classify(torch.zeros(0, head.size, device=head.classifier.weight.device))
        probs = (act or getattr(loss, "activation", noop))(outputs.detach().cpu())
        codes = rows.rows[1] if len(rows.rows) > 1 else None
        decoded = [getattr(loss, "decodes", noop)(probs)] if with_decoded else []
        inputs = [Tokens(torch.zeros(0, 0, dtype=torch.long))] if with_input else []
        return (*inputs, probs, codes, *decoded, *([torch.zeros(0)] if with_loss else []))

    def predict_proba(self, texts: Any) -> np.ndarray:
        """Predict probabilities, float32, shape (n, classes); for regression standardized numbers, shape (n, 1).

        Args:
            texts: a DataFrame with the text columns, or strings, tuples (one text per column) or dicts.
        """
        return self.get_preds(dl=self.text_dls.test_dl(texts))[0].numpy()

    def decide(self, probs: np.ndarray) -> np.ndarray:
        """Decide by probabilities: class numbers, or zeros and ones for several labels."""
        return self.loss_func.decodes(torch.from_numpy(probs)).numpy()

    def explain(self, text: Any, label: Any = None, method: str = "gradients", **options: Any) -> Explanation:
        """Explain a prediction by the words for and against a class; arguments as for `evaluation.attribution`."""
        return attribute(self, text, label, method, **options)

    def labeled_rows(self, part: str) -> Labeled | None:
        """Return texts and codes of the "train" or "valid" rows; None if there are none."""
        dl = {"train": self.text_dls.train, "valid": self.text_dls.valid}[part]
        if not len(dl.dataset):
            return None
        return [row.text for row in dl.dataset.tls[0].items], dl.rows[1].numpy()

    def push_to_hub(self, repo: str, token: str | None = None, private: bool | None = None, **options: Any) -> str:
        """Save an artifact and upload it to the Hugging Face hub; `kickbert.load("user/name")` loads it from there.

        Args:
            repo, token, private, options: as for `kickbert.models.push_to_hub`; `evaluation` as for `save_artifact`.

        Returns:
            The URL of the repository.
        """
        evaluation = options.pop("evaluation", None)

        def push() -> str:
            with TemporaryDirectory() as folder:
                return push_to_hub(save_artifact(self, folder, evaluation), repo, token, private, **options)

        return on_first(push)

    def predict_df(self, df: pd.DataFrame, min_confidence: float | None = None) -> pd.DataFrame:
        """Predict the rows of df.

        Args:
            df: rows with the learner's text columns.
            min_confidence: rows with a lower confidence get no label (`kickbert.threshold_for` chooses it); None labels
                all rows.

        Returns:
            Indexed like df: `predicted_label`, `confidence`, and `prob_<class>` for each class; for bins also
            `expected`, in the target's unit. `predicted_label` is a list for several labels, a number for regression,
            and for ordered classes their median, which may not be the most likely class. A row without text has none.
        """
        check_columns(df, text_col=self.text_col)
        dl = self.text_dls.test_dl(df)
        probs = self.get_preds(dl=dl)[0].numpy()
        empty = without_text([row.text for row in dl.dataset.tls[0].items])
        return prediction_frame(self.target, probs, self.decide(probs), df.index, empty, min_confidence)
