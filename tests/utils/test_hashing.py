"""Equal values have equal fingerprints in every process; what makes a difference makes another one."""

import functools
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert.targets.labels import Labels
from kickbert.text import EDA, Cleaner
from kickbert.training.losses import loss_for
from kickbert.utils.hashing import Unidentifiable, digest, file_digest, fingerprint, first_fingerprint


def test_digest_sees_values_shapes_and_types():
    one = torch.ones(4)
    parts = ["a", "b", [one], [one * 2], [one.reshape(2, 2)], [one.long()]]
    assert len({digest(part) for part in parts}) == 6 and digest("a", [one]) == digest("a", [torch.ones(4)])


def test_a_files_digest_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# Modules of one's own, and a script that makes values of all kinds, in processes of their own.
STEPS = "EPOCHS = {epochs}\ndef inner(learn): learn.fit(EPOCHS)\ndef train(learn): inner(learn)\n"
SCRIPT = """
import enum, functools, json, re, sys
import numpy as np, pandas as pd, torch
from torch.nn import functional as F
import changed, kept
from kickbert.text import EDA, Cleaner
from kickbert.utils.hashing import fingerprint

class Colour(enum.Enum):
    RED = 1

class Own(EDA):
    def each(self, text, number, rng):
        return super().each(text, number, rng)

class Weighted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, logits, targets):
        return F.cross_entropy(logits, targets, weight=self.weight)

def make(n):
    return lambda learn: learn.fit(n)

def shout(text):
    return text.upper() if text in {"a", "b", "c"} else recur(text, 2)

def recur(text, n):
    return recur(text, n - 1) if n else text

frame = pd.DataFrame({"text": ["a", None], "label": pd.Categorical(["x", "y"]), "list": [["a"], []]})
values = {
    "set": {"a", "b", "c", ("d", 1)}, "enum": Colour.RED, "augmenter": Own(), "eda": EDA(), "loss": Weighted(),
    "lambda": lambda learn: learn.fit_one_cycle(2), "closure": make(3),
    "recursion": shout, "cleaner": Cleaner(["remove_html", shout]), "partial": functools.partial(shout, text="a"),
    "method": Own().each, "kept module": lambda learn: kept.train(learn),
    "changed module": lambda learn: changed.train(learn), "library": F.cross_entropy, "builtin": str.upper,
    "pattern": re.compile("a+"), "generator": np.random.default_rng(1), "frame": frame,
    "tensor": torch.ones(2).bfloat16(),
    "optimizer": functools.partial(torch.optim.AdamW, eps=1e-6),
}
print(json.dumps({name: fingerprint(value) for name, value in values.items()}))
"""


def test_the_same_in_every_process(tmp_path):
    processes = []
    for seed, epochs in (("1", 3), ("2", 4)):
        folder = tmp_path / seed
        folder.mkdir()
        (folder / "kept.py").write_text(STEPS.format(epochs=3))
        (folder / "changed.py").write_text(STEPS.format(epochs=epochs))
        path = os.pathsep.join([str(folder), *sys.path])
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
        processes.append(subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=env))
    first, second = (json.loads(process.communicate(timeout=200)[0]) for process in processes)
    assert [name for name in first if first[name] != second[name]] == ["changed module"]
    assert len(set(first.values())) == len(first) > 18


def make(n):
    return lambda learn: learn.fit(n)


def with_default(n=1):
    return n


RATE = 1.0


def reading():
    return RATE


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Plan:
    epochs: int = 1


class Step:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, text):
        return text * self.rate

    @functools.cached_property
    def derived(self):
        return [self.rate]


def logits_loss(scale):
    class Loss(nn.Module):
        def forward(self, logits, targets):
            return F.cross_entropy(logits * scale, targets)

    return Loss()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda learn: learn.fit_one_cycle(2), lambda learn: learn.fine_tune(2)),
        (make(1), make(6)),
        (with_default, with_default.__class__(with_default.__code__, globals(), "with_default", (2,))),
        (lambda text: F.relu(text), lambda text: F.gelu(text)),
        (lambda x: [y + 1 for y in x], lambda x: [y + 2 for y in x]),
        (functools.partial(with_default, n=1), functools.partial(with_default, n=2)),
        (Step(1), Step(2)),
        (Step(1).__call__, Step(2).__call__),
        (EDA(), EDA(alpha=0.2)),
        (EDA(), EDA(operations=["swap"])),
        (Cleaner([str.upper]), Cleaner([str.lower])),
        (loss_for(Labels, "focal"), loss_for(Labels, "label_smoothing")),
        (loss_for(Labels, None, torch.ones(2)), loss_for(Labels, None, torch.tensor([1.0, 2.0]))),
        (logits_loss(1), logits_loss(2)),
        (Plan(), Plan(2)),
        (Colour.RED, Colour.BLUE),
        (np.ones((2, 3)), np.ones((3, 2))),
        (np.zeros(2), np.zeros(2, dtype=np.int64)),
        (torch.ones(2), torch.ones(2, dtype=torch.bfloat16)),
        (pd.DataFrame({"a": [0.1]}), pd.DataFrame({"a": [0.1 + 1e-13]})),
        (pd.Series(["a", "b"]), pd.Series(["a", "b"], dtype="category")),
        (["ab", "c"], ["a", "bc"]),
        ([1, [2]], [1, 2]),
        ([1], (1,)),
        (1, True),
        (1, "1"),
        (None, "None"),
    ],
)
def test_what_makes_a_difference(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_a_global_that_a_function_reads(monkeypatch):
    before = fingerprint(reading)
    monkeypatch.setitem(globals(), "RATE", 2.0)
    assert fingerprint(reading) != before


def test_what_makes_none():
    step = Step([1, 2])
    before = fingerprint(step)
    assert step.derived and fingerprint(step) == before  # computed from the rest
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert fingerprint(frame) == fingerprint(pd.concat([frame["a"], frame["b"]], axis=1))
    assert fingerprint(np.arange(6).reshape(2, 3).T) == fingerprint(np.arange(6).reshape(2, 3).T.copy())
    assert fingerprint({"b", "a"}) == fingerprint({"a", "b"})
    assert fingerprint(nn.BCEWithLogitsLoss()) == fingerprint(nn.BCEWithLogitsLoss())
    copied = Step(1)
    copied.__doc__, copied.__annotations__ = "as functools.wraps leaves it", {"rate": int}
    assert fingerprint(copied) == fingerprint(Step(1))
    loop = []
    loop.append(loop)
    assert fingerprint(loop) == fingerprint(loop)


def test_what_keeps_a_running_state_is_known_as_it_was_first():
    counter = Step(1)
    first = first_fingerprint(counter)
    counter.rate = 2
    assert first_fingerprint(counter) == first != first_fingerprint(Step(2))


class Broken:
    def __reduce__(self):
        raise RuntimeError("no")


def importing(text):
    import conftest

    return conftest.GOOD


NUMBERS = (n for n in range(3))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (threading.Lock(), "the lock may differ in another process"),
        (Step(threading.Lock()), "cannot pickle"),
        (lambda text: next(NUMBERS), "the generator in 'NUMBERS' in '<lambda>' may differ"),
        (Broken(), r"the Broken may differ in another process \(no\)"),
        (importing, "it imports 'conftest' when it runs; import it at the top of its file"),
        (sys.modules[__name__], "of a module only the attributes that a function reads by name"),
        (functools.reduce(lambda inner, _: [inner], range(5000), []), "nested too deeply"),
    ],
)
def test_what_cannot_be_told_is_refused(value, message):
    with pytest.raises(Unidentifiable, match=message):
        fingerprint(value)
