"""Multi-label targets."""

import numpy as np
import pandas as pd
import pytest

from kickbert.targets.fitting import fit_target
from kickbert.targets.label_cells import from_columns


def test_columns_of_zeros_and_ones_are_a_multi_label_target():
    df = pd.DataFrame({"x": [1, 0, 0], "y": [True, False, True], "z": [1.0, np.nan, 0.0]})
    target = fit_target(df)
    assert target.is_multilabel and target.names == ["x", "y", "z"]
    assert target.encode(df[["z", "y", "x"]]).tolist() == [[1, 1, 1], [0, 0, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match=r"'y' holds 2 in 1 row"):
        from_columns(pd.DataFrame({"x": [0, 1], "y": [0, 2]}))
