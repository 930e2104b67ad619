"""The text wing: columns of a DataFrame → clean texts → token ids, and variants of a text.

Comes in: a DataFrame, or strings. Goes out: strings with their columns joined, token ids as NumPy arrays. Neither torch
nor fastai is needed here, but for `neural_augmentation`. Start reading at `columns.read_texts`, then `tokenization`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "columns": [],
        "cleaning": ["Cleaner"],
        "cleaning_steps": [
            "convert_to_lowercase",
            "discard_non_alpha",
            "normalize_unicode",
            "remove_emoji",
            "remove_html",
            "remove_http",
            "remove_punctuation",
            "remove_whitespace",
        ],
        "token_limits": [],
        "tokenization": ["TokenEncoder"],
        "augmentation": ["EDA", "Augmenter", "CharacterNoise"],
        "neural_augmentation": ["BackTranslation", "Contextual"],
        "duplicates": ["near_duplicates"],
        "word_statistics": ["distinctive_words"],
    },
)
