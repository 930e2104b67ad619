"""Show batches, results and mistakes as tables in a notebook or a terminal."""

import shutil
from typing import Any

import pandas as pd
from fastai.data.core import show_batch, show_results
from fastai.interpret import plot_top_losses
from fastai.torch_core import TensorCategory
from fastcore.foundation import L

from kickbert.data.transforms import Tokens
from kickbert.utils.messages import shorten
from kickbert.utils.progress import in_notebook


def show_table(frame: pd.DataFrame) -> None:
    """Show a table: as HTML in a notebook, otherwise as text that fits the terminal."""
    if in_notebook():
        from IPython.display import HTML, display

        display(HTML(frame.to_html(index=False)))
        return
    others = sum(max(frame[c].astype(str).str.len().max(), len(c)) + 2 for c in frame.columns if c != "text")
    width = max(20, shutil.get_terminal_size((100, 24)).columns - others - 2)
    print(frame.assign(text=[shorten(t, width) for t in frame["text"]]).to_string(index=False, justify="left"))


def _frame(samples: L, max_n: int, trunc_at: int, **columns: Any) -> pd.DataFrame:
    rows = samples[:max_n]
    first = {"text": [shorten(s[0], trunc_at) for s in rows]}
    return pd.DataFrame({**first, **{name: [_shown(v) for v in values[:max_n]] for name, values in columns.items()}})


def _shown(value: Any) -> str:
    """
    >>> _shown(148.49999828123026), _shown("a lamp")
    ('148.5', 'a lamp')
    """
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@show_batch.dispatch
def _show_batch(x: Tokens, y, samples, ctxs=None, max_n=10, trunc_at=150, **kwargs):
    """Show texts and their targets."""
    show_table(_frame(samples, max_n, trunc_at, **({"target": samples.itemgot(1)} if len(samples[0]) > 1 else {})))


@show_results.dispatch
def _show_results(x: Tokens, y, samples, outs, ctxs=None, max_n=10, trunc_at=150, **kwargs):
    """Show texts, their targets and the predictions."""
    show_table(_frame(samples, max_n, trunc_at, target=samples.itemgot(1), predicted=outs.itemgot(0)))


@plot_top_losses.dispatch
def _plot_top_losses(x: Tokens, y, samples, outs, raws, losses, trunc_at=150, **kwargs):
    """Show the texts with the largest losses, and the probability of the predicted class."""
    sure = {"probability": [f"{float(r.max()):.3f}" for r in raws]} if type(y) is TensorCategory else {}
    numbers = sure | {"loss": [f"{float(v):.3f}" for v in losses]}
    n = len(samples)
    show_table(_frame(samples, n, trunc_at, target=samples.itemgot(1), predicted=outs.itemgot(0), **numbers))
