"""An epoch of the last two layers on cached states, with the first token's pooling: that token alone against all.

    python benchmarks/first_token.py                     # MPNet, 1,280 rows of sst2, bf16 where there is; three seeds
    python benchmarks/first_token.py --set ag_news --rows 640 --seeds 1

Both train by turns from the same seed, two epochs each, the second of which is timed. By arithmetic the time is 0.58:
the last of two layers computes keys and values of all tokens, a sixth of its matrix products, and the rest of one.
"""

import argparse
import tempfile
import warnings
from contextlib import nullcontext
from functools import partial
from unittest import mock

from common.record import RECORDS, measure
from common.sets import load
from encoders import folder_of
from epoch_cost import Seconds

import kickbert
from kickbert.models import encoder as encoders

RUNS = RECORDS / "first_token.jsonl"


def epoch(encoder: str, name: str, rows: int, seed: int, alone: bool) -> tuple[float, float]:
    """Seconds of the second epoch, and its training loss."""
    df, _, _, columns = load(name, seed, rows)
    whole = mock.patch.object(encoders, "first_token_alone", lambda *_: nullcontext())
    with tempfile.TemporaryDirectory() as scratch, nullcontext() if alone else whole:
        learn = kickbert.learner_from_df(
            df, text_col=columns, model=folder_of(encoder), pooling="cls", seed=seed, path=scratch,
            cache=kickbert.Cache(),
        )  # fmt: skip
        learn.logger = lambda *a: None
        timer, first = Seconds(), len(learn.groups) - 3
        with learn.no_bar():
            learn.fit_gradual([kickbert.Phase("last 2 layers", first, epochs=2, lr=2e-4)], cbs=[timer])
        return timer.seconds[-1], float(learn.recorder.values[-1][0])


def compare(encoder: str, name: str, rows: int, seed: int) -> dict:
    """Both by turns: seconds of an epoch, their ratio, and the training losses."""
    warnings.filterwarnings("ignore")
    (alone, loss), (whole, other) = (epoch(encoder, name, rows, seed, how) for how in (True, False))
    return {"first alone, s": alone, "all tokens, s": whole, "ratio": alone / whole, "loss": loss, "loss, all": other}


def main() -> None:
    """Make the runs asked for, and print their table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", choices=["mpnet", "minilm"], default="mpnet")
    parser.add_argument("--set", default="sst2")
    parser.add_argument("--rows", type=int, default=1_280)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    how = {"name": args.set, "rows": args.rows}
    measure(RUNS, {args.encoder: [(how, partial(compare, args.encoder))]}, [args.encoder], args.seeds)


if __name__ == "__main__":
    main()
