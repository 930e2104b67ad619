"""The other columns of a table, categories, numbers and dates: what they say of the target, without the text.

Input: a DataFrame. Output: offsets in the unit of logits, which are added to those of the text, shape (n, outputs).
Only `fitting`, `choosing` and `leaks` need scikit-learn. Start reading at `column_model`.
"""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "columns": [],
        "dates": [],
        "trees": [],
        "boosting": [],
        "column_model": [],
        "fitting": [],
        "choosing": [],
        "leaks": [],
    },
)
