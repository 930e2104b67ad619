"""Cells of a table that hold nothing, and lists of columns."""

import unicodedata

import numpy as np
import pandas as pd

SEVERAL = (list, tuple, np.ndarray, pd.Index, pd.Series)  # names of columns; anything else is the name of one
INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")  # Unicode categories: control and format characters, and spaces
ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!")  # of spreadsheets


def is_blank(text: str) -> bool:
    """Tell whether a cell has only white space or invisible characters, or is the error of a spreadsheet's formula.

    "NA", "None" and "null" are text: they may be names.

    >>> is_blank(" "), is_blank("#N/A"), is_blank("NA")
    (True, True, False)
    """
    return text.strip() in ERRORS or all(unicodedata.category(character) in INVISIBLE for character in text)
