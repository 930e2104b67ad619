"""Commands that train, evaluate, report and explore."""

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers.campaigns import campaigns

from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.training.factories import learner_from_df
from kickbert.utils import hub


@pytest.mark.system
def test_train_evaluate_report_explore(kickbert, rows, tiny, tmp_path):
    done = kickbert("train", rows, "--out", tmp_path / "k", "--model", tiny, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["model"].endswith("k/v1") and result["ladder"][0]["phase"] == "head"
    assert {row["score"] for row in result["scores"]} > {"accuracy", "MCC"}
    assert result["summary"][0].startswith("Accuracy ") and "warning: 18 rows are too few" in done.stderr

    done = kickbert("evaluate", tmp_path / "k", rows)
    assert done.returncode == 0, done.stderr
    assert "On 120 rows; low, high: 95% interval" in done.stdout and "Per-class scores" in done.stdout
    assert done.stdout.startswith("Accuracy ") and "macro-F1" in done.stdout and "weighted-recall" not in done.stdout
    assert "weighted-recall" in kickbert("evaluate", tmp_path / "k", rows, "--all").stdout
    done = kickbert("report", tmp_path / "k", rows, "--out", tmp_path / "r.html")
    assert done.returncode == 0 and "Summary" in (tmp_path / "r.html").read_text(), done.stderr
    assert done.stdout.startswith("- Accuracy ") and done.stdout.count("\n- ") == 3, done.stdout
    done = kickbert("explore", rows, "--out", tmp_path / "e.html")
    assert done.returncode == 0 and "rows.csv, 120 rows" in (tmp_path / "e.html").read_text(), done.stderr
    assert [line[:2] for line in done.stdout.splitlines()[-4:]] == ["- ", "- ", "- ", "pa"], done.stdout


def test_the_default_folder_is_named_after_the_file(kickbert, rows, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = kickbert("train", rows, "--model", tiny, "--epochs", 1)
    assert first.returncode == 0 and Path("models/rows/v1/kickbert.json").exists(), first.stderr
    assert "the model will be saved in models/rows; choose another folder with --out" in first.stdout
    before = Path("models/rows/v1/kickbert.json").read_bytes()
    second = kickbert("train", rows, "--model", tiny, "--epochs", 1)
    assert (
        "models/rows has 1 version; this run adds another" in second.stdout and "saved: models/rows/v2" in second.stdout
    )
    assert Path("models/rows/v1/kickbert.json").read_bytes() == before
    warnings = [line for line in first.stderr.splitlines() if line.startswith("warning: ")]
    assert warnings and len(warnings) == len(set(warnings))
    printed = " ".join((first.stdout + first.stderr).split())
    assert printed.count("too few for a reliable score") == 1 and printed.count("Train longer: ") <= 1


def test_a_page_replaces_only_pages(kickbert, rows, served):
    for command in (["explore", rows], ["report", served / "one", rows]):
        done = kickbert(*command, "--out", rows)
        assert done.returncode == 1 and "rows.csv must end in .html" in done.stderr
    assert rows.read_text().startswith("text,label\n")


@pytest.mark.parametrize("spelling", ["single-label", "single label", "Single_Label"])
def test_a_task_may_have_hyphens(kickbert, rows, tiny, tmp_path, spelling):
    done = kickbert("train", rows, "--out", tmp_path / "k", "--model", tiny, "--task", spelling, "--dry-run", "--json")
    assert done.returncode == 0, done.stdout


def test_an_unknown_task_lists_those_that_exist(kickbert, rows):
    done = kickbert("train", rows, "--task", "singel-label")
    assert done.returncode == 2 and "['single label', 'multi-label', 'ordinal', 'regression']" in done.stderr
    assert "Did you mean 'single label'?" in done.stderr


def test_options_are_checked_before_training(kickbert, rows, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("kickbert.learner_from_df", None)
    done = kickbert("train", rows, "--out", tmp_path / "k", "--model", tiny, "--export", "onxn")
    assert done.returncode == 1 and "Did you mean 'onnx'" in done.stderr
    done = kickbert("train", rows, "--out", tmp_path / "k", "--model", tiny, "--augment", "edda")
    assert done.returncode == 1 and done.stderr == "error: --augment edda is not one of eda, typos\n"


def test_a_failed_export_is_a_warning(kickbert, rows, tiny, tmp_path, monkeypatch):
    def export(folder, df, formats, functions):
        if formats == ["onnx-int8"]:
            raise ArtifactError("int8 costs 3.00 points")
        return pd.DataFrame([{"format": formats[0]}])

    monkeypatch.setattr("kickbert.export", export)
    out = tmp_path / "k"
    options = ["--export", "onnx", "--export", "onnx-int8", "--epochs", 1, "--lr", 1e-3, "--json"]
    done = kickbert("train", rows, "--out", out, "--model", tiny, *options)
    result = json.loads(done.stdout)
    assert done.returncode == 0 and result["exports"] == [{"format": "onnx"}] and Path(result["model"]).exists()
    assert [row["epochs"] for row in result["ladder"]] == [1, 1] and result["ladder"][1]["lr"] == 1e-3
    assert "warning: onnx-int8 was not exported: int8 costs 3.00 points. To try again: kickbert export" in done.stderr
    assert not list(out.rglob("gradual.safetensors"))  # the checkpoint is deleted after training


def test_the_default_model_is_that_of_python(kickbert, rows, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_default_model", lambda: tiny)
    done = kickbert("train", rows, "--out", tmp_path / "k", "--epochs", 1, "--json")
    learn = learner_from_df(pd.read_csv(rows), path=tmp_path)
    metadata = json.loads((Path(json.loads(done.stdout)["model"]) / "kickbert.json").read_text())
    assert metadata["encoder"] == learn.metadata["encoder"] and metadata["encoder"]["name"] == Path(tiny).name
    usage = " ".join(kickbert("train", "--help").stdout.replace("│", " ").split())
    assert "roberta-base; minilm if the hub cannot be reached" in usage


def test_dry_run_trains_nothing(kickbert, rows, tiny, tmp_path):
    options = [
        "--epochs",
        3,
        "--batch-size",
        8,
        "--class-weights",
        "balanced",
        "--precision",
        "fp32",
        "--augment",
        "typos",
    ]
    done = kickbert("train", rows, "--out", tmp_path / "k", "--model", tiny, *options, "--dry-run", "--json")
    phases = json.loads(done.stdout)
    assert [row["epochs"] for row in phases] == [None, 3] and phases[0]["trainable"] < phases[1]["trainable"]
    assert [row["batch size"] for row in phases] == [8, 8] and phases[1]["steps"] % 3 == 0
    assert not list((tmp_path / "k").rglob("*.safetensors"))


def test_other_column_names(kickbert, served, rows, tmp_path):
    df = pd.read_csv(rows)
    df.rename(columns={"text": "body", "label": "kind"}).assign(text="something else").to_csv(tmp_path / "o.csv")
    names = ["--text", "body", "--label", "kind"]
    scores = []
    for file, options in ((rows, []), (tmp_path / "o.csv", names)):
        done = kickbert("evaluate", served / "one", file, *options, "--backend", "torch", "--json")
        scores.append(json.loads(done.stdout)["scores"])
    assert scores[0] == scores[1]
    done = kickbert("report", served / "one", tmp_path / "o.csv", *names, "--out", tmp_path / "r.html", "--json")
    printed = json.loads(done.stdout)
    assert printed["report"] == str(tmp_path / "r.html") and len(printed["findings"]) == 4
    done = kickbert("evaluate", served / "one", rows, "--text", "bodi")
    assert done.returncode == 1 and "rows.csv has no column 'bodi' (--text)" in done.stderr
    done = kickbert("evaluate", served / "one", rows, "--text", "text", "--text", "label")
    assert done.returncode == 1 and "the model has 1 text column: ['text']" in done.stderr


@pytest.fixture
def spreadsheet(tmp_path):
    """A German CSV file: Latin-1, semicolons as separators and at the end of each row."""

    def write(*labels: str) -> Path:
        rows = [f"{i};schöner Film, Nummer {i};{label};" for i, label in enumerate(labels)]
        (tmp_path / "rows.csv").write_bytes("\n".join(["Größe;text;label", *rows]).encode("latin-1"))
        return tmp_path / "rows.csv"

    return write


def test_train_reads_the_file_correctly(kickbert, spreadsheet, tmp_path, monkeypatch):
    def learner_from_df(df, **options):
        assert df["text"].str.startswith("schöner Film, Nummer").all() and options["text_col"] == ["text"]
        assert df["Größe"].dtype == "int64" and sorted(set(df["label"])) == ["NA", "None"]
        raise ValueError("read correctly")

    monkeypatch.setattr("kickbert.learner_from_df", learner_from_df)
    done = kickbert("train", spreadsheet(*["NA", "None"] * 20), "--out", tmp_path / "k")
    warning, error = done.stderr.splitlines()
    assert warning.startswith("warning: rows.csv: detected encoding 'cp1252'") and "separator ';'" in warning
    assert error == "error: read correctly"


def test_evaluate_with_encoding_and_separator(kickbert, spreadsheet, served):
    rows = spreadsheet(*["good", "bad"] * 30)
    options = ["--encoding", "latin-1", "--sep", ";", "--backend", "torch", "--json"]
    done = kickbert("evaluate", served / "one", rows, *options)
    assert json.loads(done.stdout)["rows"] == 60 and not done.stderr
    done = kickbert("evaluate", served / "one", rows, "--sep", ",", "--backend", "torch")
    assert done.returncode == 1 and "no rows" in done.stderr


def test_calibration_is_chosen_by_rows_or_by_an_option(kickbert, rows, tiny, tmp_path):
    outputs, temperatures = [], []
    for option in ([], ["--no-calibrate"], ["--calibrate"]):
        out = tmp_path / "-".join(["k", *option])
        done = kickbert("train", rows, "--out", out, "--model", tiny, "--epochs", 4, "--lr", 4e-3, *option)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
        temperatures.append(json.loads((out / "v1" / "kickbert.json").read_text())["temperature"])
    few = "not calibrated (18 validation rows, fewer than 200): expected calibration error 0."
    assert few in outputs[0] and "kickbert train … --calibrate" in outputs[0]
    assert "calibrated" not in outputs[1] and few not in outputs[2] and "TemperatureScaling" in outputs[2]
    assert temperatures[:2] == [1, 1] and temperatures[2] != 1


def test_the_only_column_of_texts_is_read(kickbert, reviews, tiny, tmp_path):
    rows = tmp_path / "reviews.csv"
    reviews.rename(columns={"text": "What you think"}).to_csv(rows, index=False)
    options = ["--out", tmp_path / "k", "--model", tiny, "--dry-run"]
    done = kickbert("train", rows, *options)
    assert done.returncode == 0 and "reading 'What you think', the only column" in done.stdout
    reviews.assign(title=reviews["text"]).rename(columns={"text": "body"}).to_csv(rows, index=False)
    for command in (["train", rows, *options], ["explore", rows, "--out", tmp_path / "page.html"]):
        done = kickbert(*command)
        assert done.returncode == 1 and "several look like text: ['body', 'title']" in done.stderr


def test_columns_beside_the_text(kickbert, tiny, tmp_path):
    rows = tmp_path / "campaigns.csv"
    campaigns(120).to_csv(rows, index=False)
    model = tmp_path / "k"
    options = ("--model", tiny, "--out", model, "--epochs", 1)
    beside = ("--cat", "auto", "--cont", "goal", "--date", "launched")
    done = kickbert("train", rows, *options, *beside)
    assert done.returncode == 0 and "columns beside the text: category (3 categories)" in done.stdout, done.stderr
    assert "columns alone" in " ".join(done.stdout.split())
    done = kickbert("train", rows, *options, "--cont", "gaol")
    assert done.returncode and "campaigns.csv has no column 'gaol' (--cont)" in done.stderr + done.stdout
    less = tmp_path / "less.csv"
    campaigns(20).drop(columns=["goal", "label"]).to_csv(less, index=False)
    done = kickbert("predict", less, tmp_path / "out.csv", "--model", model)
    assert done.returncode and "less.csv has no column 'goal', which the model reads" in done.stderr + done.stdout
    done = kickbert("predict", less, tmp_path / "out.csv", "--model", model, "--missing", "impute")
    assert done.returncode == 0 and len(pd.read_csv(tmp_path / "out.csv")) == 20, done.stderr
