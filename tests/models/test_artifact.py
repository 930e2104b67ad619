"""Artifacts: whole or not at all, checked, the same numbers again, and no pickle in sight."""

import copy
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import REPO
from safetensors.torch import load_file, save_file

import kickbert
from kickbert import ArtifactError, GradualLearner
from kickbert.models.artifact import _entry, flat_metadata, read_artifact, set_latest, versions
from kickbert.models.metadata import METADATA

TASKS = {
    "labels": {},
    "bins": {"label_col": "amount", "bins": 3, "bin_format": "$"},
    "several": {"label_col": "tags"},
    "columns": {"label_col": ["warm", "cold"]},
    "number": {"label_col": "amount", "task": "regression"},
    "windows": {"long": "windows", "max_length": 16, "stride": 4},
    "two columns": {"text_col": ["text", "more"], "cleaning": "auto", "head_layers": 2},
}


@pytest.fixture
def rows(reviews):
    rng = np.random.default_rng(0)
    return reviews.assign(
        amount=rng.lognormal(3, 1, len(reviews)),
        tags=[["x", label] if i % 3 else [] for i, label in enumerate(reviews["label"])],
        warm=(reviews["label"] == "good").astype(int),
        cold=(reviews["label"] == "bad").astype(int),
        more="<b>and</b> more of it",
    )


@pytest.fixture
def trained(make, rows):
    def train(how: str = "labels", **kwargs):
        learn = make(rows, **TASKS[how], **kwargs)
        learn.fit_one_cycle(1, 4e-3)
        return learn

    return train


@pytest.mark.parametrize("how", TASKS)
def test_a_predictor_says_what_the_learner_says(trained, rows, tmp_path, how):
    learn = trained(how)
    model = kickbert.load(learn.save_artifact(tmp_path / "k"), backend="torch")
    rows = pd.concat([rows.sample(40, random_state=1), rows.head(1).assign(text=None, more=None)])
    with pytest.warns(UserWarning, match="no text"):
        ours, theirs = model.predict_df(rows), learn.predict_df(rows)
    pd.testing.assert_frame_equal(ours, theirs, atol=1e-5, check_dtype=False)
    given = rows.iloc[:-1]
    key = {"several": "labels", "columns": "labels", "number": "value"}.get(how, "label")
    said = model.predict(given)
    assert said == ours[key].iloc[:-1].tolist() and model.predict([]) == []
    assert kickbert.evaluate(model, given).rows == 40


def test_versions_stand_side_by_side(trained, tmp_path):
    learn, home = trained(), tmp_path / "k"
    assert learn.save_artifact(home) == home / "v1" and learn.save_artifact(home) == home / "v2"
    assert kickbert.load(home).artifact.version == "v2" and kickbert.load(home / "v1").artifact.version == "v1"
    set_latest(home, "v1")
    assert kickbert.load(home).artifact.version == "v1" and versions(home) == ["v1", "v2"]
    with pytest.raises(ArtifactError, match="none of"):
        set_latest(home, "v7")
    (home / "latest").write_text("../k/v2")
    with pytest.raises(ArtifactError, match="which is none of"):
        kickbert.load(home)
    assert not list(tmp_path.rglob("*.pkl")) and not list(tmp_path.rglob("*.bin"))


def test_training_goes_on(trained, rows, tmp_path):
    learn = trained("several")
    learn.loss_func.temperature = 1.5
    folder = learn.save_artifact(tmp_path / "k")
    rows = pd.concat([rows, rows.head(3).assign(tags=[["new"]] * 3)], ignore_index=True)
    with pytest.warns(UserWarning, match="never saw"):
        again = GradualLearner.from_artifact(folder, rows, precision="fp32", path=tmp_path, bs=16)
    assert again.loss_func.temperature == 1.5 and again.dls.target == learn.dls.target
    np.testing.assert_allclose(again.loss_func.thresh, learn.loss_func.thresh)
    for (name, one), two in zip(learn.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    again.fit_gradual()
    assert kickbert.load(again.save_artifact(tmp_path / "k")).artifact.version == "v2"


def test_rows_of_unknown_classes_are_left_out_when_training_goes_on(trained, rows, tmp_path):
    folder = trained().save_artifact(tmp_path / "k")
    with pytest.warns(UserWarning, match="3 rows have a label that training never saw"):
        again = GradualLearner.from_artifact(folder, pd.concat([rows, rows.head(3).assign(label="new")]), path=tmp_path)
    assert len(again.dls.train_ds) + len(again.dls.valid_ds) == len(rows)


FILES = [
    "kickbert.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "config.json",
    "model.safetensors",
    "head.safetensors",
]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", ["cut", "byte", "gone"])
def test_harm_is_noticed(trained, reviews, tmp_path, file, harm):
    folder = trained().save_artifact(tmp_path / "k")
    path = folder / file
    content = bytearray(path.read_bytes())
    if harm == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if harm == "byte" else content[:-7])
    message = {"cut": "cut short", "byte": "sha256 differs", "gone": "is missing"}[harm]
    with pytest.raises(ArtifactError, match=message):
        kickbert.load(folder, backend="torch")
    with pytest.raises(ArtifactError, match=message):
        GradualLearner.from_artifact(folder, reviews)


@pytest.fixture
def old(tmp_path):
    """An artifact that may be changed; `reseal` writes its manifest anew."""
    return shutil.copytree(REPO / "tests" / "fixtures" / "artifact-0.1", tmp_path / "v1")


def reseal(folder):
    files = {p.name: _entry(p) for p in folder.iterdir() if p.name != "manifest.json"}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))


def test_a_file_that_the_manifest_does_not_list_is_not_read(old):
    (old / "special_tokens_map.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"holds special_tokens_map\.json, which its manifest does not list"):
        kickbert.load(old, backend="torch")
    (old / "special_tokens_map.json").rename(old / "notes.md")
    assert kickbert.load(old, backend="torch").labels


@pytest.mark.parametrize("file", ["model.safetensors", "head.safetensors"])
@pytest.mark.parametrize("harm", ["lacks a tensor", "another shape", "no safetensors"])
def test_sealed_weights_that_are_not_whole(old, file, harm):
    tensors = load_file(old / file)
    name = sorted(tensors)[-1]
    tensors[name] = tensors[name].repeat(2, *[1] * (tensors[name].dim() - 1))
    if harm == "lacks a tensor":
        del tensors[name]
    if harm == "no safetensors":
        (old / file).write_bytes(b"\xff" * 100)
    else:
        save_file(tensors, old / file, metadata={"format": "pt"})
    reseal(old)
    with pytest.raises(ArtifactError, match=rf"{file} holds what cannot be used \("):
        kickbert.load(old, backend="torch")


NESTED = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("content", [NESTED, '{"a":' * 100_000, "\x00", '{"format": 1}', "1" * 5000, "null", '"a"', ""])
@pytest.mark.parametrize("file", ["manifest.json", "kickbert.json"])
def test_json_that_is_no_artifacts(old, file, content):
    (old / file).write_text(content)
    if file != "manifest.json":
        reseal(old)
    with pytest.raises(ArtifactError) as raised:
        read_artifact(old)
    assert file in str(raised.value) and len(str(raised.value)) < 400 + len(str(old))


VALUES = [None, True, -1, 1e400, "x", [], {}, [[]], {"kind": "Bins"}]


@pytest.mark.parametrize("name", [*METADATA, *(f"target/{n}" for n in ("kind", "classes", "edges")), "framing/start"])
def test_metadata_of_other_types(old, name):
    """Each entry is left out and given other types: what is read is usable, or it is refused in a sentence."""
    metadata = json.loads((old / "kickbert.json").read_text())
    refused = 0
    for value in [..., *VALUES]:
        changed = copy.deepcopy(metadata)
        *parents, last = name.split("/")
        part = changed[parents[0]] if parents else changed
        if value is ...:
            del part[last]
        else:
            part[last] = value
        (old / "kickbert.json").write_text(json.dumps(changed))
        reseal(old)
        try:
            artifact = read_artifact(old)
            assert artifact.target.names is not None and artifact.token_encoder and flat_metadata(artifact.metadata)
        except ArtifactError as err:
            assert "kickbert.json" in str(err)
            refused += 1
    assert refused >= 5


def test_a_manifest_of_other_types(old):
    manifest = json.loads((old / "manifest.json").read_text())
    for value in VALUES:
        entries = ({"bytes": value, "sha256": "x"}, {"bytes": 1, "sha256": value}, value)
        for changed in (
            {"format": value, "files": {}},
            {"format": 1, "files": value},
            *({"format": 1, "files": manifest["files"] | {"config.json": entry}} for entry in entries),
        ):
            (old / "manifest.json").write_text(json.dumps(changed))
            with pytest.raises(ArtifactError):
                kickbert.load(old, backend="torch")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m | {"format": 99}, "of format 99, and this kickbert reads up to 2"),
        (lambda m: m | {"files": {"../../etc/passwd": {}}}, "lists files of its folder"),
        (lambda m: m | {"files": {}}, "lists no files"),
        (
            lambda m: {"format": 1, "files": {k: v for k, v in m["files"].items() if k != "tokenizer.json"}},
            "has no token",
        ),
        (lambda m: [], "lists no files"),
    ],
)
def test_a_manifest_that_cannot_be(trained, tmp_path, change, told):
    folder = trained().save_artifact(tmp_path / "k")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(change(manifest)))
    with pytest.raises(ArtifactError, match=told):
        read_artifact(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="no JSON"):
        read_artifact(folder)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(ArtifactError, match="no folder here"):
        kickbert.load(tmp_path / "none")
    (tmp_path / "a.txt").touch()
    with pytest.raises(ArtifactError, match=r"has no manifest.json, so it is no artifact \(it holds \['a.txt'\]\)"):
        kickbert.load(tmp_path)


def test_a_full_disk_changes_nothing(trained, tmp_path, monkeypatch):
    learn, home = trained(), tmp_path / "k"
    learn.save_artifact(home)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kickbert.models.saving.save_file", full)
    with pytest.raises(ArtifactError, match=r"No space left on device.*nothing was changed"):
        learn.save_artifact(home)
    assert sorted(p.name for p in home.iterdir()) == ["latest", "v1"]


def test_a_kill_while_writing_leaves_what_was_there(trained, tmp_path):
    home = tmp_path / "k"
    trained().save_artifact(home)
    code = f"""
import os, signal
from kickbert.models.artifact import write_artifact
def fill(part):
    (part / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
write_artifact({str(home)!r}, fill)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert kickbert.load(home).artifact.version == "v1" and list(home.glob("*.part"))
    with pytest.raises(OSError, match="stop"):
        from kickbert.utils.atomic_files import fresh_folder

        with fresh_folder(home):
            assert len(list(home.glob("*.part"))) == 1  # what the killed process left is gone
            raise OSError("stop")


def test_own_cleaning_functions_are_given_again(make, reviews, tmp_path):
    def shout(text: str) -> str:
        return text.upper()

    folder = make(reviews, cleaning=[shout]).save_artifact(tmp_path / "k")
    with pytest.raises(ValueError, match="shout"):
        kickbert.load(folder)
    assert kickbert.load(folder, functions=[shout]).read(["a"])[0] == ["A"]


def test_classes_that_json_cannot_hold(make, reviews, tmp_path):
    dates = {"good": pd.Timestamp("2020-01-01"), "bad": pd.Timestamp("2021-01-01")}
    learn = make(reviews.assign(label=reviews["label"].map(dates).astype(object)))
    with pytest.raises(ValueError, match="make the labels strings"):
        learn.save_artifact(tmp_path / "k")


def test_a_half_copied_folder(trained, tmp_path):
    folder = trained().save_artifact(tmp_path / "k")
    shutil.copytree(folder, tmp_path / "copy")
    assert kickbert.load(tmp_path / "copy", backend="torch").labels == ["bad", "good"]
    (tmp_path / "copy" / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"no manifest\.json"):
        kickbert.load(tmp_path / "copy")
