"""Other libraries, each with the settings from its documentation.

A `fit_*` function takes training and validation rows (texts and class numbers), the encoder's folder and a seed. It
returns a function from texts to class numbers.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from kickbert.text.word_statistics import tfidf_vectorizer

Rows = tuple[list[str], Sequence[int]]
Predict = Callable[[list[str]], np.ndarray]
SETFIT_PAIRS = 4_000  # SetFit is made for few rows; one pass over the pairs of all rows would take hours


def fit_tfidf(train: Rows, valid: Rows, *, folder: Path, seed: int) -> Predict:
    """TF-IDF of words and word pairs with logistic regression; its regularization is chosen on the validation rows."""
    models = []
    for c in (1.0, 4.0, 16.0):
        model = make_pipeline(tfidf_vectorizer(len(train[0])), LogisticRegression(C=c, max_iter=1000)).fit(*train)
        models.append((model.score(*valid), model))
    return max(models, key=lambda pair: pair[0])[1].predict


class Encoded(torch.utils.data.Dataset):
    """Rows in the format of the Trainer."""

    def __init__(self, tokenizer: Any, texts: list[str], y: Sequence[int]):
        ids = tokenizer(texts, truncation=True, max_length=256)["input_ids"]
        self.rows = [{"input_ids": row, "labels": int(label)} for row, label in zip(ids, y, strict=True)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict:
        return self.rows[i]


def trainer_of(
    folder: Path,
    train: Rows,
    scratch: str,
    *,
    lr: float = 5e-5,
    epochs: float = 3,
    bs: int = 32,
    seed: int = 0,
    tuned: bool = True,
    bf16: bool = True,
) -> tuple[Any, Any]:
    """Hugging Face's Trainer on all weights of an `AutoModelForSequenceClassification`, and its tokenizer.

    Args:
        folder: the encoder's folder.
        train: texts and class numbers.
        scratch: output folder.
        tuned: bf16, batches grouped by length, and eager attention, which trains faster on a CPU than torch's kernel
            (benchmarks/notes/speed.md); otherwise the documented defaults (but batches of 32, not 8).
        bf16: False where bf16 is emulated.
    """
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    attention = {"attn_implementation": "eager"} if tuned else {}
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(set(train[1])), **attention)
    arguments = TrainingArguments(
        output_dir=scratch,
        num_train_epochs=epochs,
        learning_rate=lr,
        seed=seed,
        per_device_train_batch_size=bs,
        per_device_eval_batch_size=64,
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        logging_strategy="no",
        bf16=tuned and bf16,
        train_sampling_strategy="group_by_length" if tuned else "random",
    )
    collate = DataCollatorWithPadding(tokenizer)
    return Trainer(model, arguments, train_dataset=Encoded(tokenizer, *train), data_collator=collate), tokenizer


def fit_trainer(train: Rows, valid: Rows, *, folder: Path, seed: int, **settings: Any) -> Predict:
    """Hugging Face's Trainer; settings as for `trainer_of`."""
    with tempfile.TemporaryDirectory() as scratch:
        trainer, tokenizer = trainer_of(folder, train, scratch, seed=seed, **settings)
        trainer.train()

    trainer.args.train_sampling_strategy = "random"  # grouping by length would reorder the rows of a prediction too
    return lambda texts: trainer.predict(Encoded(tokenizer, texts, [0] * len(texts))).predictions.argmax(1)


def fit_simpletransformers(train: Rows, valid: Rows, *, folder: Path, seed: int) -> Predict:
    """simpletransformers' `ClassificationModel`: its defaults (4e-5, one epoch, no bf16 on a CPU) in batches of 32."""
    import pandas as pd
    from simpletransformers.classification import ClassificationModel

    scratch = tempfile.mkdtemp()
    arguments = {
        "train_batch_size": 32,
        "manual_seed": seed,
        "use_multiprocessing": False,
        "use_multiprocessing_for_evaluation": False,
        "silent": True,
        "no_save": True,
        "output_dir": scratch,
        "cache_dir": scratch,
        "overwrite_output_dir": True,
    }
    classes = len(set(train[1]))
    cuda = torch.cuda.is_available()
    model = ClassificationModel("bert", str(folder), num_labels=classes, args=arguments, use_cuda=cuda)
    model.train_model(pd.DataFrame({"text": train[0], "labels": train[1]}))
    return lambda texts: np.asarray(model.predict(texts)[0])


def fit_setfit(train: Rows, valid: Rows, *, folder: Path, seed: int, pairs: int = SETFIT_PAIRS) -> Predict:
    """SetFit: contrastive training on `pairs` pairs in batches of 16, then a logistic regression on all rows."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    with tempfile.TemporaryDirectory() as scratch:
        model = SetFitModel.from_pretrained(str(folder))
        arguments = TrainingArguments(
            output_dir=scratch,
            seed=seed,
            num_iterations=1,
            max_steps=pairs // 16,
            batch_size=16,
            save_strategy="no",
            report_to="none",
            show_progress_bar=False,
            logging_strategy="no",
        )
        rows = Dataset.from_dict({"text": train[0], "label": [int(label) for label in train[1]]})
        Trainer(model=model, args=arguments, train_dataset=rows).train()
    return lambda texts: np.asarray(model.predict(texts, batch_size=64))
