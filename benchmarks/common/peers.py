"""The rivals, each as its own documentation has it."""

import tempfile
import time

import numpy as np
import torch
from common.watch import Watch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from kickbert.text.tokenization import PAD
from kickbert.text.word_statistics import tfidf_vectorizer
from kickbert.utils import hub


def tfidf(train: tuple, valid: tuple, test_texts: list[str]) -> np.ndarray:
    """TF-IDF of words and word pairs, and logistic regression, its strength of regularisation chosen on valid.

    Args:
        train, valid: texts and class numbers.
    Returns:
        Class numbers of the test texts.
    """
    best = (-1.0, None)
    for c in (1.0, 4.0, 16.0):
        model = make_pipeline(tfidf_vectorizer(len(train[0])), LogisticRegression(C=c, max_iter=1000)).fit(*train)
        best = max(best, (model.score(*valid), model), key=lambda found: found[0])
    return best[1].predict(test_texts)


class Encoded(torch.utils.data.Dataset):
    """Rows as the Trainer reads them."""

    def __init__(self, tokenizer, texts, y):
        self.rows = [
            {"input_ids": ids, "labels": int(label)}
            for ids, label in zip(tokenizer(texts, truncation=True)["input_ids"], y, strict=True)
        ]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


def _arguments(tuned: bool, bs: int, bf16: bool = True, **kwargs):
    from transformers import TrainingArguments

    better = {"bf16": bf16, "train_sampling_strategy": "group_by_length"} if tuned else {}
    return TrainingArguments(
        per_device_train_batch_size=bs,
        per_device_eval_batch_size=64,
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        logging_strategy="no",
        **better,
        **kwargs,
    )


def bert_logits(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Logits of a transformers classifier, of token ids padded with -1."""
    return model(input_ids=x.clamp(min=0), attention_mask=(x != PAD).long()).logits


def trainer_of(folder, train: tuple, scratch: str, *, lr=5e-5, epochs=3, bs=32, seed=0, tuned=True, bf16=True):
    """Hugging Face's Trainer on `AutoModelForSequenceClassification`, every weight training, and its tokenizer.

    Args:
        folder: of the encoder.
        train: texts and class numbers.
        tuned: bf16, batches grouped by length, and eager attention, which trains faster on a CPU than torch's kernel
            (benchmarks/attention.py); else the documented defaults.
        bf16: False for fp32, where it is emulated.
    """
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        set_seed,
    )

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    how = {"attn_implementation": "eager"} if tuned else {}
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(set(train[1])), **how)
    run = {"output_dir": scratch, "num_train_epochs": epochs, "learning_rate": lr, "seed": seed}
    arguments = _arguments(tuned, bs, bf16, **run)
    rows = Encoded(tokenizer, *train)
    return Trainer(model, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer)), tokenizer


def hf_trainer(train: tuple, tests: list[tuple], **settings) -> tuple[list[tuple], float]:
    """Train with Hugging Face's Trainer and predict.

    Args:
        train: texts and class numbers.
        tests: the same, for each set to predict.
        settings: as for `trainer_of`.
    Returns:
        For each test set the true and the predicted class numbers, in an order of the
        Trainer's own; and the seconds that training took.
    """
    with tempfile.TemporaryDirectory() as scratch:
        trainer, tokenizer = trainer_of(hub.minilm_folder(), train, scratch, **settings)
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
        # Grouping by length reorders the rows of a prediction too, so the labels are taken from the same answer.
        answers = [trainer.predict(Encoded(tokenizer, *test)) for test in tests]
    return [(answer.label_ids, answer.predictions.argmax(1)) for answer in answers], seconds


def watched_trainer(train: tuple, test: tuple, every: int, **settings) -> Watch:
    """Hugging Face's Trainer under a watch; the clock starts at the texts."""
    with tempfile.TemporaryDirectory() as scratch:
        watch = Watch(test[1], every)
        trainer, tokenizer = trainer_of(hub.minilm_folder(), train, scratch, **settings)
        with watch.stopped():
            ids = tokenizer(test[0], truncation=True)["input_ids"]
        with watch.over(trainer.model, lambda x: bert_logits(trainer.model, x), ids):
            trainer.train()
    return watch


def watched_simpletransformers(train: tuple, test: tuple, every: int, *, seed: int, epochs: int, length: int) -> Watch:
    """simpletransformers' `ClassificationModel`: its defaults (rate 4e-5, no bf16 on a CPU), but batches of 32.

    Args:
        length: tokens that every row is padded to.
    """
    import pandas as pd
    from simpletransformers.classification import ClassificationModel

    own = {"train_batch_size": 32, "num_train_epochs": epochs, "max_seq_length": length, "manual_seed": seed}
    own |= {"use_multiprocessing": False, "use_multiprocessing_for_evaluation": False, "silent": True, "no_save": True}
    with tempfile.TemporaryDirectory() as scratch:
        own |= {"output_dir": scratch, "cache_dir": scratch, "overwrite_output_dir": True}
        watch = Watch(test[1], every)
        folder, classes = str(hub.minilm_folder()), len(set(train[1]))
        model = ClassificationModel("bert", folder, num_labels=classes, args=own, use_cuda=torch.cuda.is_available())
        with watch.stopped():
            ids = model.tokenizer(test[0], truncation=True, max_length=length)["input_ids"]
        with watch.over(model.model, lambda x: bert_logits(model.model, x), ids):
            model.train_model(pd.DataFrame({"text": train[0], "labels": train[1]}))
    return watch


def watched_setfit(train: tuple, test: tuple, *, seed: int, pairs: int) -> Watch:
    """SetFit: contrastive training on `pairs` pairs in batches of 16, then a logistic regression on all rows."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    with tempfile.TemporaryDirectory() as scratch:
        watch = Watch(test[1], 0)
        model = SetFitModel.from_pretrained(str(hub.minilm_folder()))
        steps = {"num_iterations": 1, "max_steps": pairs // 16, "batch_size": 16}
        quiet = {"save_strategy": "no", "report_to": "none", "show_progress_bar": False, "logging_strategy": "no"}
        arguments = TrainingArguments(output_dir=scratch, seed=seed, **steps, **quiet)
        rows = Dataset.from_dict({"text": train[0], "label": [int(label) for label in train[1]]})
        Trainer(model=model, args=arguments, train_dataset=rows).train()
        with watch.stopped():
            predicted = np.asarray(model.predict(test[0], batch_size=64))
        watch.look(predicted)
    return watch
