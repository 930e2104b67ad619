"""Variants of texts by neural models: back-translation, and replacements by a masked language model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kickbert.text.augmentation import Augmenter, match_case, split_words
from kickbert.utils.hub import load
from kickbert.utils.progress import bar


class BackTranslation(Augmenter):
    """Translate into another language and back (Sennrich, Haddow and Birch 2016); sampling makes variants differ.

    Args:
        there, back: Marian models: hub ids such as "Helsinki-NLP/opus-mt-en-de" and "Helsinki-NLP/opus-mt-de-en", or
            folders.
        temperature: sampling temperature; 0 for only the best translation.
        bs: texts per batch.
        max_length: maximum tokens to translate per text.
        kwargs: arguments of `Augmenter`.
    """

    def __init__(
        self,
        there: str | Path = "Helsinki-NLP/opus-mt-en-de",
        back: str | Path = "Helsinki-NLP/opus-mt-de-en",
        temperature: float = 0.7,
        bs: int = 32,
        max_length: int = 256,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.models = [_translator(there), _translator(back)]
        self.temperature, self.bs, self.max_length = temperature, bs, max_length

    def __call__(self, texts: Sequence[str], n: int, rng: np.random.Generator) -> list[list[str]]:
        """Return `n` variants of each text; an empty text stays empty."""
        torch.manual_seed(int(rng.integers(2**31)))
        wanted = [(i, text) for i, text in enumerate(texts) if text.strip()]
        out = [[text] * n for text in texts]
        order = sorted(range(len(wanted)), key=lambda k: len(wanted[k][1]))  # similar lengths share a batch
        batches = [order[at : at + self.bs] for at in range(0, len(order), self.bs)]
        for chosen in bar(batches, "back-translating"):
            translations = [wanted[k][1] for k in chosen for _ in range(n)]
            for tokenizer, model in self.models:
                translations = self._translate(translations, tokenizer, model)
            for k, at in zip(chosen, range(0, len(translations), n), strict=True):
                out[wanted[k][0]] = translations[at : at + n]
        return out

    @torch.no_grad()
    def _translate(self, texts: list[str], tokenizer: Any, model: Any) -> list[str]:
        batch = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=self.max_length)
        sampling = {"do_sample": True, "temperature": self.temperature} if self.temperature else {"do_sample": False}
        ids = model.generate(**batch.to(model.device), num_beams=1, max_new_tokens=self.max_length, **sampling)
        return tokenizer.batch_decode(ids, skip_special_tokens=True)


def _translator(model: str | Path) -> tuple[Any, Any]:
    from transformers import MarianMTModel, MarianTokenizer

    return load(MarianTokenizer.from_pretrained, model), load(MarianMTModel.from_pretrained, model).eval()


class Contextual(Augmenter):
    """Replace words by predictions of a masked language model (Kobayashi 2018).

    Args:
        model: hub id or folder of a masked language model.
        rate: share of the words to replace.
        top: number of most likely words to draw from, by their probability.
        bs: texts per batch.
        kwargs: arguments of `Augmenter`.
    """

    def __init__(
        self, model: str | Path = "distilroberta-base", rate: float = 0.15, top: int = 10, bs: int = 32, **kwargs: Any
    ):
        super().__init__(**kwargs)
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        if not 0 < rate <= 1 or top < 1:
            raise ValueError(f"rate={rate} must be above 0 and at most 1, and top={top} at least 1")
        self.tokenizer, self.model = load(AutoTokenizer.from_pretrained, model), load(
            AutoModelForMaskedLM.from_pretrained, model
        ).eval()  # fmt: skip
        self.rate, self.top, self.bs = rate, top, bs

    def __call__(self, texts: Sequence[str], n: int, rng: np.random.Generator) -> list[list[str]]:
        """Return `n` variants of each text; a text without words does not change."""
        wanted = [text for text in texts for _ in range(n)]
        out: list[str] = []
        for at in bar(range(0, len(wanted), self.bs), "replacing words in context"):
            out += self._batch(wanted[at : at + self.bs], rng)
        return [out[at : at + n] for at in range(0, len(out), n)]

    def _batch(self, texts: list[str], rng: np.random.Generator) -> list[str]:
        rows, masked = [split_words(text) for text in texts], []
        for _, positions in rows:
            count = min(len(positions), max(1, round(self.rate * len(positions))))
            masked.append(sorted(rng.choice(positions, count, replace=False).tolist()) if positions else [])
        hidden = [self._hidden(parts, gone) for (parts, _), gone in zip(rows, masked, strict=True)]
        guesses = self._guesses(hidden, rng)
        for (parts, _), gone, words in zip(rows, masked, guesses, strict=True):
            for position, word in zip(gone, words, strict=False):  # masks past the model's limit get no guess
                parts[position] = match_case(word, parts[position]) if word else parts[position]
        return ["".join(parts) for parts, _ in rows]

    def _hidden(self, parts: list[str], gone: list[int]) -> str:
        return "".join(self.tokenizer.mask_token if i in gone else part for i, part in enumerate(parts))

    @torch.no_grad()
    def _guesses(self, texts: list[str], rng: np.random.Generator) -> list[list[str]]:
        """Predict a word for each mask of each text; an empty string if the model predicts no word."""
        batch = self.tokenizer(texts, return_tensors="pt", padding=True, truncation=True).to(self.model.device)
        logits = self.model(**batch).logits.float()
        guesses = []
        for ids, row in zip(batch["input_ids"], logits, strict=True):
            best = row[ids == self.tokenizer.mask_token_id].topk(self.top)
            probs = best.values.softmax(-1).cpu().double().numpy()
            probs /= probs.sum(-1, keepdims=True)
            drawn = [int(i[rng.choice(self.top, p=p)]) for i, p in zip(best.indices, probs, strict=True)]
            guesses.append([self.tokenizer.decode([i]).strip() for i in drawn])
        return [[word if word.isalpha() else "" for word in words] for words in guesses]
