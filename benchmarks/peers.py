"""The rivals, each as its own documentation has it."""

import tempfile
import time

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from kickbert import pretrained


def tfidf(train: tuple, valid: tuple, test_texts: list[str]) -> np.ndarray:
    """TF-IDF of words and word pairs, and logistic regression, its strength of regularisation chosen on valid.

    Args:
        train, valid: texts and class numbers.
    Returns:
        Class numbers of the test texts.
    """
    best = (-1.0, None)
    for c in (1.0, 4.0, 16.0):
        features = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        model = make_pipeline(features, LogisticRegression(C=c, max_iter=1000)).fit(*train)
        best = max(best, (model.score(*valid), model), key=lambda found: found[0])
    return best[1].predict(test_texts)


class _Encoded(torch.utils.data.Dataset):
    def __init__(self, tokenizer, texts, y):
        self.rows = [
            {"input_ids": ids, "labels": int(label)}
            for ids, label in zip(tokenizer(texts, truncation=True)["input_ids"], y, strict=True)
        ]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


def _arguments(tuned: bool, bs: int, **kwargs):
    from transformers import TrainingArguments

    better = {"bf16": True, "train_sampling_strategy": "group_by_length"} if tuned else {}
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


def hf_trainer(
    train: tuple,
    tests: list[tuple],
    *,
    lr: float = 5e-5,
    epochs: int = 3,
    bs: int = 32,
    seed: int = 0,
    tuned: bool = True,
) -> tuple[list[tuple], float]:
    """Hugging Face's Trainer on `AutoModelForSequenceClassification`, every weight training.

    Args:
        train: texts and class numbers.
        tests: the same, for each set to predict.
        tuned: bf16 and batches grouped by length; else the documented defaults.
    Returns:
        For each test set the true and the predicted class numbers, in an order of the
        Trainer's own; and the seconds that training took.
    """
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        set_seed,
    )

    set_seed(seed)
    folder = pretrained.minilm_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(set(train[1])))
    with tempfile.TemporaryDirectory() as scratch:
        arguments = _arguments(tuned, output_dir=scratch, num_train_epochs=epochs, learning_rate=lr, seed=seed, bs=bs)
        trainer = Trainer(
            model,
            arguments,
            train_dataset=_Encoded(tokenizer, *train),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
        # Grouping by length reorders the rows of a prediction too, so the labels are taken from the same answer.
        answers = [trainer.predict(_Encoded(tokenizer, *test)) for test in tests]
    return [(answer.label_ids, answer.predictions.argmax(1)) for answer in answers], seconds
