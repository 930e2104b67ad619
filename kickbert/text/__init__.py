"""Texts: read from columns, cleaned, tokenized, and augmented.

Input: a DataFrame, or strings. Output: strings with their columns joined, or token ids as NumPy arrays. Only
`neural_augmentation` needs torch. Start reading at `columns.read_texts`, then `tokenization`.
"""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "columns": [],
        "text_columns": [],
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
