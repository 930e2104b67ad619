"""Equal values have equal fingerprints in every process; user code needs a name."""

import functools
import importlib
import json
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert.data.packed import Packed
from kickbert.targets.labels import Labels
from kickbert.text import EDA, Cleaner
from kickbert.training.losses import loss_for
from kickbert.training.schedule import Phase
from kickbert.utils.hashing import Unidentifiable, digest, file_digest, fingerprint, first_fingerprint


def test_a_digest_depends_on_values_shapes_and_types():
    one = torch.ones(4)
    parts = ["a", "b", [one], [one * 2], [one.reshape(2, 2)], [one.long()]]
    assert len({digest(part) for part in parts}) == 6 and digest("a", [one]) == digest("a", [torch.ones(4)])


def test_a_file_digest_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


SCRIPT = """
import functools, json, re
import numpy as np, pandas as pd, torch
from torch.nn import functional as F
from kickbert.text import EDA, Cleaner
from kickbert.training.schedule import Phase
from kickbert.utils.hashing import fingerprint

frame = pd.DataFrame({"text": ["a", None], "label": pd.Categorical(["x", "y"]), "list": [["a"], []]})
values = {
    "set": {"a", "b", "c", ("d", 1)}, "eda": EDA(), "phase": Phase("head", 3, 1, 1e-3), "loss": torch.nn.MSELoss(),
    "cleaner": Cleaner(["remove_html"]), "partial": functools.partial(F.relu, inplace=False), "method": EDA().each,
    "library": F.cross_entropy, "builtin": str.upper, "kernel": torch.nn.functional.gelu, "pattern": re.compile("a+"),
    "generator": np.random.default_rng(1), "frame": frame, "tensor": torch.ones(2).bfloat16(), "nan": float("nan"),
    "optimizer": functools.partial(torch.optim.AdamW, eps=1e-6),
}
print(json.dumps({name: fingerprint(value) for name, value in values.items()}))
"""


@pytest.mark.system
def test_fingerprints_are_the_same_in_every_process():
    processes = []
    for seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": seed}
        processes.append(subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=env))
    first, second = (json.loads(process.communicate(timeout=200)[0]) for process in processes)
    assert first == second and len(set(first.values())) == len(first) == 16


def shout(text):
    return text.upper()


class Step:
    def __init__(self, rate):
        self.rate = rate


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (F.relu, F.gelu),
        (functools.partial(F.relu, inplace=False), functools.partial(F.relu, inplace=True)),
        (EDA(), EDA(alpha=0.2)),
        (EDA(), EDA(operations=["swap"])),
        (Cleaner(["remove_html"]), Cleaner(["remove_http"])),
        (Phase("head", 3, 1, 1e-3), Phase("head", 3, 2, 1e-3)),
        (loss_for(Labels, "focal"), loss_for(Labels, "label_smoothing")),
        (loss_for(Labels, None, torch.ones(2)), loss_for(Labels, None, torch.tensor([1.0, 2.0]))),
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
def test_different_values_differ(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_memory_layout_does_not_change_fingerprints():
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert fingerprint(frame) == fingerprint(pd.concat([frame["a"], frame["b"]], axis=1))
    assert fingerprint(np.arange(6).reshape(2, 3).T) == fingerprint(np.arange(6).reshape(2, 3).T.copy())
    assert fingerprint({"b", "a"}) == fingerprint({"a", "b"}) and fingerprint(nn.GELU()) == fingerprint(nn.GELU())
    text = "a text"
    assert fingerprint([text, text]) == fingerprint([text, " ".join(["a", "text"])])  # one object, or two
    packed = Packed.of([np.arange(3)])
    before = fingerprint(packed)
    assert len(packed.lengths) == 1 and fingerprint(packed) == before  # computed from the rest


def test_the_first_fingerprint_is_kept():
    generator = Cleaner(["remove_html"])
    first = first_fingerprint(generator)
    assert first_fingerprint(generator) == first != first_fingerprint(Cleaner([]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (shout, "the function 'shout' is not from an installed library"),
        (lambda text: text, "the function '<lambda>' is not from an installed library"),
        (Cleaner([shout]), "the function 'shout'"),
        (Step(1), "the class 'Step' is not from an installed library"),
        (threading.Lock(), "cannot pickle"),
        (sys.modules[__name__], "cannot pickle"),
        (functools.reduce(lambda inner, _: [inner], range(5000), []), "recursion"),
    ],
)
def test_code_and_open_objects_need_a_name(value, message):
    with pytest.raises(Unidentifiable, match=re.escape(message)):
        fingerprint(value)
    assert fingerprint(value, name="a") == fingerprint(value, name="a") != fingerprint(value, name="b")


def test_own_code_in_a_package_that_a_library_also_installs(tmp_path, monkeypatch):
    for folder in ("site-packages", "project"):
        (tmp_path / folder / "same_name").mkdir(parents=True)
        (tmp_path / folder / "same_name" / f"{folder[:4]}.py").write_text("def step(text):\n    return text\n")
        monkeypatch.syspath_prepend(tmp_path / folder)
    assert fingerprint(importlib.import_module("same_name.site").step)
    with pytest.raises(Unidentifiable, match="'step' is not from an installed library"):
        fingerprint(importlib.import_module("same_name.proj").step)


def test_a_name_identifies_code_but_not_data():
    assert fingerprint([shout, 1], name="a") != fingerprint([shout, 2], name="a")
    assert fingerprint(Step(1), name="a") != fingerprint(Step(2), name="a")
