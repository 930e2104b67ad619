"""The page to label on, in a real browser, by keyboard: with a server that is killed, and with hostile texts."""

import signal
import threading
import time

import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[label] is not installed")
pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")
from helpers.browsers import chromium, needs_driver, reads_from_the_right, show_at
from helpers.serving import Server, free_port
from helpers.topics import WORDS, embed, topics

from kickbert.labeling.app import create_app, open_socket
from kickbert.labeling.background import PATIENCE
from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.session import LabelingSession, Settings
from kickbert.labeling.tables import labels_frame, read
from kickbert.labeling.tuning import EncoderTuning, TaskProcess, Tuned, train_from_labels

pytestmark = needs_driver


class Page:
    """The page in a browser: keys, what it shows, and waiting for that."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)
        self.until(lambda: self.row is not None)

    def find(self, selector: str) -> list:
        from selenium.webdriver.common.by import By

        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, holds):
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.driver, 60, 0.02, [StaleElementReferenceException])
        return wait.until(lambda _: holds())

    def type(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()  # to whatever has the focus

    @property
    def row(self) -> int | None:
        return self.driver.execute_script("return state.current && state.current.row")

    @property
    def texts(self) -> list[str]:
        script = "return [...document.querySelectorAll('#text p')].map(p => p.textContent)"
        return self.driver.execute_script(script)

    def press(self, key: str) -> None:
        """Press a key, and wait for another text."""
        before = self.row
        self.type(key)
        self.until(lambda: self.row != before)

    def errors(self) -> list:
        """What the browser complains of, but for a server that is not there."""
        return [e for e in self.driver.get_log("browser") if "Failed to load resource" not in e["message"]]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    made = chromium(tmp_path_factory.mktemp("profile"))
    yield made
    made.quit()


@pytest.fixture(params=[1280])
def page(request, driver):
    show_at(driver, request.param, 900)
    yield Page(driver)
    driver.get("about:blank")
    driver.get_log("browser")


@pytest.fixture
def served_here(tmp_path):
    """A function that serves a page in this process, whose embeddings are counts of words; its address and session."""
    import uvicorn

    stops = []

    def make(texts, classes, task="single label", columns=("text",), settings=None):
        database = LabelDatabase(tmp_path / f"labels {len(stops)}.db", list(columns), task)
        database.add_rows([text if isinstance(text, tuple) else (text,) for text in texts])
        add_classes(ClassList(database), classes)
        session = LabelingSession(database, embed, settings=settings)
        port = free_port()
        app = create_app(session, TaskProcess(train_from_labels, database.file, tmp_path / "model", "minilm"), "anna")
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        listening = open_socket("127.0.0.1", port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        session.model.start()
        stops.append((server, thread, session, listening))
        return f"http://127.0.0.1:{port}/", session

    yield make
    for server, thread, session, listening in stops:
        server.should_exit = True
        thread.join()
        session.model.stop()
        session.database.close()
        listening.close()


def test_fifty_rows_by_keyboard_while_the_server_is_killed_twice(page, tiny, tmp_path):
    df, names = topics(70, seed=3), list(WORDS)
    truth = dict(zip(df["text"], df["label"], strict=True))
    df[["text"]].to_csv(tmp_path / "rows.csv", index=False)
    file, given = tmp_path / "labels.db", {}
    call = [tmp_path / "rows.csv", "--out", file, "--labels", ",".join(names), "--model", tiny, "--who", "anna"]
    server = Server(*call, command="label")
    try:
        page.open(server.url)
        for i in range(50):
            (text,) = page.texts
            given[text] = truth[text]
            key = str(1 + names.index(truth[text]))
            if i not in (17, 33):
                page.press(key)
                continue
            server.stop(signal.SIGKILL)
            if i == 33:  # pressed while no server answers
                page.type(key)
                notice = page.until(lambda: page.find("#notice:not([hidden])"))[0]
                assert notice.text == "The server does not answer. Trying again …" and page.texts == [text]
            server = Server(*call, command="label", port=server.port)
            if i == 33:
                page.until(lambda: page.texts != [text])  # noqa: B023 - called at once
            else:
                page.press(key)
        page.until(lambda: page.find("#count")[0].text.startswith("50 labelled"))
    finally:
        printed = server.stop()
    assert "label at http://127.0.0.1:" in printed and "has all labels; train a model: kickbert train" in printed
    labels = read(file, history=True)
    assert len(labels) == 50 and dict(zip(labels["text"], labels["label"], strict=True)) == given
    assert (labels["who"] == "anna").all() and (labels["seconds"] > 0).all() and not page.errors()


HOSTILE = "<script>document.title = 'hurt'</script><img src=x onerror=\"document.title='hurt'\"> & \"quotes\""


def test_markup_in_texts_and_names_is_shown_as_text(page, served_here):
    url, session = served_here(
        [(HOSTILE, "second <b>column</b>")], ["<i>one</i>", HOSTILE[:90]], columns=["<u>a</u>", "b"]
    )
    page.open(url)
    page.until(lambda: len(page.find("#classes button")) == 2)
    assert page.texts == [HOSTILE, "second <b>column</b>"]
    assert [h.text for h in page.find("#text h2")] == ["<u>a</u>", "b"]
    assert [b.text for b in page.find("#classes .name")] == ["<i>one</i>", HOSTILE[:90].strip()]
    page.press("2")
    page.until(lambda: page.find("#count")[0].text.startswith("1 labelled"))
    assert page.texts == ["There is no further text to label. All that you labelled is kept."]
    assert "hurt" not in page.driver.title and not page.find("main img, main script, aside img, aside script")
    assert labels_frame(session.database)["label"].tolist() == [HOSTILE[:90].strip()] and not page.errors()


def test_every_action_has_a_key(page, served_here):
    url, session = served_here(topics(30)["text"], ["x", "y"], settings=Settings(seed=1))
    page.open(url)
    first = page.row
    page.type("n")
    page.type("not sure", "\ue007")  # Enter
    page.press("1")
    second = page.row
    page.press("s")
    page.press("u")
    assert page.row == second and page.find("#was")[0].text.startswith("You skipped this text")
    page.press("b")
    assert page.row == first and page.find("#was")[0].text.startswith("Labeled x")
    page.press("2")  # changed in place, and on to where one was
    page.type("+")
    page.type("third class", "\ue007")
    page.until(lambda: len(page.find("#classes button")) == 3)
    page.press("3")
    page.type("?")
    assert page.find("dialog[open]") and "undo the last label" in page.find("dialog")[0].text
    page.type("\ue00c")  # Escape
    assert not page.find("dialog[open]")
    df = labels_frame(session.database)
    assert dict(zip(df["label"], df["note"].isna(), strict=True)) == {"y": False, "third class": True}
    assert df["note"][0] == "not sure" and session.database.labelled() == 2 and not page.errors()
    unnamed = [b for b in page.find("button, input") if b.is_displayed() and not b.accessible_name]
    assert not unnamed
    assert page.find("#classes button")[0].get_attribute("aria-keyshortcuts") == "1"


def test_several_labels_are_toggled_and_enter_goes_on(page, served_here):
    url, session = served_here(topics(9)["text"], ["x", "y", "z"], "multi-label")
    page.open(url)
    page.type("1", "3", "2", "2")
    assert [b.get_attribute("aria-pressed") for b in page.find("#classes button")] == ["true", "false", "true"]
    page.press("\ue007")
    page.press("\ue007")  # none of them
    assert labels_frame(session.database)["label"].tolist() == [["x", "z"], []]


def test_on_a_scale_arrows_move(page, served_here):
    url, session = served_here(topics(9)["text"], ["low", "middle", "high"], "ordinal")
    page.open(url)
    page.type("\ue014", "\ue014", "\ue014", "\ue012")  # right three times, left
    assert [b.get_attribute("aria-pressed") for b in page.find("#classes button")] == ["false", "true", "false"]
    page.press("\ue007")
    page.press("3")
    assert labels_frame(session.database)["label"].tolist() == ["middle", "high"]


def test_more_than_nine_classes_are_searched(page, served_here):
    url, session = served_here(topics(9)["text"], [f"class {name}" for name in "abcdefghijklmno"])
    page.open(url)
    script = "state.classes = ['more', 'a retry', 'refund'].map(name => ({ name })); at('search').value = 're'; "
    wanted = ["refund", "a retry", "more"]  # what begins so, what has a word that does, the rest
    assert page.driver.execute_script(script + "return matching().map(c => c.name)") == wanted
    page.open(url)
    page.until(lambda: page.driver.switch_to.active_element.get_attribute("id") == "search")  # type at once
    page.type("ss m")
    assert [b.text for b in page.find("#classes .name")] == ["class m"]
    page.press("\ue007")
    page.press("2")  # nothing typed: the second class
    page.type("\ue00c")
    page.press("s")  # out of the search keys are keys again
    assert labels_frame(session.database)["label"].tolist() == ["class m", "class b"]


@pytest.mark.parametrize("page", [390, 1280], indirect=True)
def test_what_the_model_has_learnt_is_beside_the_text(page, served_here, tmp_path):
    df = topics(120, seed=2, told=4)
    truth = dict(zip(df["text"], df["label"], strict=True))
    settings = Settings(hidden_first=5, hidden_share=0, random_share=0.5)
    url, _ = served_here(df["text"], list(WORDS), settings=settings)
    page.open(url)
    times = []
    for _ in range(60):
        (text,) = page.texts
        start = time.perf_counter()
        page.press(str(1 + list(WORDS).index(truth[text])))
        times.append(time.perf_counter() - start)
    page.until(lambda: page.find("#accuracy svg"))
    page.until(lambda: page.find("#classes .suggested"))
    page.until(lambda: page.find("#text mark"))
    page.until(lambda: "50 more: about" in page.find("#accuracy")[0].text)  # drawn anew now and then
    page.until(lambda: page.find("#bars li")[0].text.startswith("sport"))
    assert page.find("#track")[0].get_attribute("aria-valuenow") > "0"
    page.type("h")
    assert not page.find("#classes .suggested, #text mark")
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    shades = []
    for scheme in ("light", "dark"):
        wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
        shades.append(page.driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
        page.driver.save_screenshot(str(tmp_path / f"{scheme}.png"))
    assert shades == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"] and not page.errors()
    assert sorted(times)[len(times) // 2] < 0.5  # the driver's own way there and back counted


def test_words_are_marked_once_the_model_is_free_again(page, served_here):
    df = topics(120, seed=2, told=4)
    truth = dict(zip(df["text"], df["label"], strict=True))
    url, session = served_here(df["text"], list(WORDS), settings=Settings(hidden_first=5, hidden_share=0))
    session.database.append_known({row.id: truth[row.texts[0]] for row in session.rows[:40]}, "ben", "random")
    session.model.wake()
    page.until(lambda: session.model.fit is not None and session.model.embedded.all())
    with session.model._embedding:  # as while it embeds
        page.open(url)
        page.until(lambda: page.find("#classes .suggested"))
        time.sleep(PATIENCE + 0.5)
        assert not page.find("#text mark")
    page.until(lambda: page.find("#text mark"))  # with no further text


def test_labels_that_look_wrong_are_looked_at_again(page, served_here):
    df = topics(160, seed=2, told=8)
    url, session = served_here(df["text"], list(WORDS))
    truth = dict(zip(df["text"], df["label"], strict=True))
    labels = {row.id: truth[row.texts[0]] for row in session.rows[:140]}
    wrong = [row.id for row in session.rows[:2]]
    for row in wrong:
        labels[row] = next(name for name in WORDS if name != labels[row])
    session.database.append_known(labels, "ben", "random")
    session.model.wake()
    page.open(url)
    page.until(lambda: len(page.find("#wrong li .buttons")) == 2)
    assert page.find("#wrong-title")[0].text == "2 labels look wrong"
    page.find("#wrong li:first-child button:nth-of-type(2)")[0].click()  # change to what the model says
    page.until(lambda: len(page.find("#wrong li .buttons")) == 1)
    page.find("#wrong li:first-child button:nth-of-type(1)")[0].click()  # keep
    page.until(lambda: not page.find("#wrong li .buttons"))
    now = {label.row: label for label in session.database.labels() if label.row in wrong}
    right = [now[row].label == truth[session.rows[i].texts[0]] for i, row in enumerate(wrong)]
    assert sorted(right) == [False, True] and {label.who for label in now.values()} == {"anna"}
    assert not session.progress()["assessment"]["suspicions"]
    others = {row.id: truth[row.texts[0]] for row in session.rows[140:]}
    session.database.append_known(others, "ben", "random")
    session.model.wake()
    page.until(lambda: session.model.assessment.labels == 160)
    assert not set(wrong) & {suspicion.row for suspicion in session.model.assessment.suspicions}


def test_classes_are_renamed_and_merged_on_the_page(page, served_here):
    url, session = served_here(topics(9)["text"], ["x", "y"])
    page.open(url)
    page.press("1")
    page.press("2")
    page.until(lambda: page.find("#bars li"))
    page.find("#bars li:nth-child(2) button")[0].click()
    page.type(*["\ue003"] * 3, "x", "\ue007")  # the name of the other one
    page.until(lambda: len(page.find("#classes button")) == 1)
    assert session.progress()["counts"] == {"x": 2} and "with y" in page.find("#bars")[0].text
    page.find("#bars li button[aria-label^='Make y']")[0].click()
    page.until(lambda: len(page.find("#classes button")) == 2)
    assert session.progress()["counts"] == {"x": 1, "y": 1}


def test_a_tuned_encoder_is_told_of_in_a_line(page, served_here):
    url, session = served_here(topics(30)["text"], list(WORDS))
    session.model.tuning = EncoderTuning(session.database.file, "minilm")  # too few labels for it to begin
    session.model.tuned = Tuned(80, 0.86, 0.914, session.model.embeddings)
    page.open(url)
    page.until(lambda: page.find("#tuning")[0].text)
    assert page.find("#tuning")[0].text == (
        "Encoder tuned on 80 labels and taken over: 91 % in cross-validation, 86 % without tuning."
    )
    session.model.tuned = Tuned(160, 0.9, 0.9, None)
    session.model.tuning.problem = "No space is left."
    page.until(lambda: "160" in page.find("#tuning")[0].text)
    text = page.find("#tuning")[0].text
    assert "with 160 labels that is no better: 90 % in cross-validation, 90 % without tuning." in text
    assert text.endswith("The encoder could not be tuned: No space is left.") and not page.errors()


@pytest.mark.parametrize("page", [390, 1280], indirect=True)
def test_each_text_reads_in_its_own_direction(page, served_here):
    arabic, english = "وصل المصباح مكسورا", "The lamp arrived broken"
    url, _ = served_here([(arabic, english)], ["تسليم", "refund"], columns=("original", "translation"))
    page.open(url)
    assert [reads_from_the_right(page.driver, p) for p in page.find("#text p")] == [True, False]
    assert page.texts == [arabic, english]
