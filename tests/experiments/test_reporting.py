"""The report: one page without external files, for every task, rendered without errors in a browser."""

import re
import subprocess
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from helpers.browsers import BROWSER, FLAGS, chromium, needs_driver, show_at
from matplotlib import pyplot as plt

from kickbert import evaluate, explore, load, report
from kickbert.experiments import reporting
from kickbert.utils import html_page


@pytest.fixture(autouse=True)
def few_bootstrap_samples(monkeypatch):
    """Intervals take most of the time of a report, and have their own tests."""
    monkeypatch.setattr(reporting, "evaluate", partial(evaluate, rounds=5))


def sections(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_a_page_of_everything(make, reviews, tmp_path):
    learn = make(reviews)
    ladder = learn.fit_gradual()
    page = report(learn, tmp_path / "r.html", reviews, ladder=ladder, seconds=0.05).read_text(encoding="utf-8")
    headings = sections(page)
    assert headings[0] == "Summary" and headings[-1] == "Model metadata"
    terms = {"Confusion matrix", "Calibration", "Selective prediction", "Precision and recall by class", "ROC curves"}
    assert terms | {"Gradual unfreezing", "Learning curves", "Latency and throughput", "All scores"} <= set(headings)
    assert ("Explanations of the most confident mistakes" in headings) == ("Most confident mistakes" in headings)
    assert "Accuracy " in page and "TF-IDF plus a linear model (" in page
    assert (
        "predictions with 80% confidence are correct 8 times in 10" in page
        and "kickbert.calibrate(learn) usually reduces" in page
    )
    assert re.search(r'<p class="headline">\d+\.\d% accuracy</p>', page)
    assert re.search(r"Evaluated on [\d,]+ rows · model: learner \(roberta, 2 layers\) · \d{4}-\d\d-\d\d", page)
    assert not re.search(r"(src|href)=\"?(https?:)?//", page) and "<script" not in page


def test_the_head_of_the_page_names_model_version_and_rows(make, reviews, tmp_path):
    learn = make(reviews)
    learn.loss_func.temperature = 1.5
    model = load(learn.save_artifact(tmp_path / "kind"), backend="torch")
    page = report(model, tmp_path / "r.html", reviews, source="held_out.csv", seconds=0).read_text(encoding="utf-8")
    assert "held_out.csv, " in page and "model: kind, version v1 (roberta, 2 layers)" in page
    assert "kickbert.calibrate" not in page  # which was done


@pytest.mark.filterwarnings("ignore:Glyph")
def test_class_names_are_literal_in_the_page(make, reviews, tmp_path):
    names = {"good": r"$\frac$ <b>bold</b> & more", "bad": "שלום 😀 " + "long " * 60}
    df = reviews.assign(label=reviews["label"].map(names))
    page = report(make(df), tmp_path / "r.html", df, seconds=0).read_text(encoding="utf-8")
    assert r"$\frac$ &lt;b&gt;bold&lt;/b&gt; &amp; more" in page and "<b>" not in page
    assert names["bad"].strip() in page and not plt.get_fignums()  # a page closes its figures


def test_the_summary_reports_a_better_baseline(make, reviews, tmp_path):
    learn = make(reviews)  # not trained
    sentence = "Less accurate than TF-IDF plus a linear model"
    assert sentence in report(learn, tmp_path / "r.html", reviews, seconds=0).read_text(encoding="utf-8")
    learn.fit_one_cycle(4, 1e-2)
    assert evaluate(learn, reviews)["accuracy"] == 1.0
    assert sentence not in report(learn, tmp_path / "r.html", reviews, seconds=0).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["bins", "number", "several", "no labels"])
def test_every_task(make, reviews, tmp_path, kind):
    rng = np.random.default_rng(0)
    df = reviews.assign(amount=rng.lognormal(3, 1, len(reviews)), tags=[["x", label] for label in reviews["label"]])
    kinds = {
        "bins": {"label_col": "amount", "bins": 3},
        "number": {"label_col": "amount", "task": "regression"},
        "several": {"label_col": "tags"},
        "no labels": {},
    }
    learn = make(df, **kinds[kind])
    learn.fit_one_cycle(1, 4e-3)
    page = report(learn, tmp_path / "r.html", df[["text"]] if kind == "no labels" else df, seconds=0).read_text()
    assert ("The rows have no labels" in page) == (kind == "no labels")


def test_the_page_of_an_evaluation(make, reviews, tmp_path):
    learn = make(reviews)
    evaluation = evaluate(learn, reviews, rounds=5)
    page = report(learn, tmp_path / "r.html", evaluation=evaluation, seconds=0).read_text()
    worst = evaluation.classes.sort_values("F1")["class"].tolist()
    table = page[page.index("Precision and recall by class") :]
    assert table.index(f"<td>{worst[0]}</td>") < table.index(f"<td>{worst[1]}</td>")
    assert "Weak slices" in sections(page) and "None found." in page


@pytest.mark.filterwarnings("error:.*(divide|invalid)", "error::RuntimeWarning")
def test_77_classes_cause_no_warning():
    rng = np.random.default_rng(0)
    y_true = np.repeat(np.arange(77), 3)
    probs = rng.dirichlet(np.ones(77), len(y_true))
    evaluation = evaluate(y_true, probs, rounds=5)
    texts = [f"help with card {c}" for c in y_true]
    predictions = replace(evaluation.predictions, texts=texts, df=pd.DataFrame({"text": texts, "label": y_true}))
    parts = [*reporting._summary(evaluation), *reporting._plots(evaluation, False)]
    page = html_page.page("77 classes", "", [*parts, *reporting._errors(predictions, ["label"])])
    assert "27 more classes" in page and not plt.get_fignums()


@needs_driver
@pytest.mark.system
def test_nothing_is_cut_off_on_a_phone_and_figures_are_dark_in_the_dark(make, tiny, reviews, tmp_path):
    rows = reviews.assign(label=reviews["label"] + " service that was bought in the shop")
    learn = make(rows)
    file = report(learn, tmp_path / "r.html", rows, seconds=0.05)
    explored = explore(rows, model=tiny).to_html(tmp_path / "e.html")
    driver = chromium(tmp_path / "profile")
    try:
        for page in (file, explored):
            show_at(driver, 390, 900)
            driver.get(page.as_uri())
            wide = "e => e.scrollWidth > e.clientWidth + 1"
            cut = driver.execute_script(f"return [...document.querySelectorAll('.wide, body')].filter({wide}).length")
            assert cut == 0, page
            dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
            style = driver.execute_script("return getComputedStyle(document.querySelector('figure img')).filter")
            assert "invert(1)" in style
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    finally:
        driver.quit()


@pytest.mark.system
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed; .ci/run installs it")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_renders_it(make, reviews, tmp_path, width):
    learn = make(reviews)
    ladder = learn.fit_gradual()
    file = report(learn, tmp_path / "r.html", reviews, ladder=ladder, seconds=0.05)
    picture = tmp_path / "r.png"
    call = [
        BROWSER,
        *FLAGS,
        "--enable-logging=stderr",
        f"--window-size={width},1600",
        f"--screenshot={picture}",
        f"--user-data-dir={tmp_path / 'u'}",
    ]
    done = subprocess.run([*call, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert picture.stat().st_size > 20_000
    assert "CONSOLE" not in done.stderr, done.stderr
    import matplotlib.image

    pixels = matplotlib.image.imread(picture)
    assert pixels.shape[1] == width and pixels[..., :3].std() > 0.02
