"""The labeling page in a real browser, by keyboard: with a server that is killed, and with hostile texts."""

import signal
import threading
import time

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[label] is not installed")
pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")
from helpers.browsers import chromium, needs_driver, reads_from_the_right, show_at
from helpers.labeling import topic_of
from helpers.serving import Server
from helpers.topics import WORDS, embed, topics

from kickbert.labeling.app import create_app
from kickbert.labeling.background import PATIENCE
from kickbert.labeling.child_process import ChildProcess
from kickbert.labeling.encoder_tuning import EncoderTuning, Tuned
from kickbert.labeling.session import LabelingSession, Settings
from kickbert.labeling.tables import labels_frame, read
from kickbert.utils.sockets import open_socket

pytestmark = [needs_driver, pytest.mark.system]
ENTER, ESCAPE, LEFT, RIGHT, BACKSPACE = "\ue007", "\ue00c", "\ue012", "\ue014", "\ue003"
NAMES = list(WORDS)


class Page:
    """The page in a browser: keys, what it shows, and waiting for it."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)
        self.until(lambda: self.row is not None)

    def find(self, selector: str) -> list:
        from selenium.webdriver.common.by import By

        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.find(selector)[0].text

    def until(self, holds):
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.driver, 60, 0.02, [StaleElementReferenceException])
        return wait.until(lambda _: holds())

    def type(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()  # to the element in focus

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

    def pressed(self) -> list[str]:
        return [button.get_attribute("aria-pressed") for button in self.find("#classes button")]

    def errors(self) -> list:
        """Return the browser's error messages, except those about a missing server."""
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
def serve(make_database):
    """Serve a page in this process, with counts of words as embeddings; return its address and its session."""
    import uvicorn

    stops = []

    def make(df, classes, task=None, text_col=("text",), settings=None):
        database = make_database(df, classes, text_col, task)
        session = LabelingSession(database, embed, settings=settings)
        app = create_app(session, ChildProcess(dict), "anna")
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        listening = open_socket("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        session.model.start()
        stops.append((server, thread, session, listening))
        return f"http://127.0.0.1:{listening.getsockname()[1]}/", session

    yield make
    for server, thread, session, listening in stops:
        server.should_exit = True
        thread.join()
        session.model.stop()
        listening.close()


def test_fifty_rows_by_keyboard_while_the_server_is_killed_twice(page, tiny, tmp_path):
    topics(70, seed=3)[["text"]].to_csv(tmp_path / "rows.csv", index=False)
    file, labels = tmp_path / "labels.db", {}
    call = [tmp_path / "rows.csv", "--out", file, "--labels", ",".join(NAMES), "--model", tiny, "--who", "anna"]
    server = Server(*call, command="label")
    try:
        page.open(server.url)
        for i in range(50):
            (text,) = page.texts
            labels[text] = topic_of(text)
            key = str(1 + NAMES.index(labels[text]))
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
        page.until(lambda: page.text("#count").startswith("50 labeled"))
    finally:
        printed = server.stop()
    assert "label at http://127.0.0.1:" in printed and "next: kickbert train" in printed
    df = read(file, history=True)
    assert len(df) == 50 and dict(zip(df["text"], df["label"], strict=True)) == labels
    assert (df["who"] == "anna").all() and (df["seconds"] > 0).all() and not page.errors()


HOSTILE = "<script>document.title = 'hurt'</script><img src=x onerror=\"document.title='hurt'\"> & \"quotes\""


def test_markup_in_texts_and_names_is_shown_as_text(page, serve):
    df = pd.DataFrame({"<u>a</u>": [HOSTILE], "b": ["second <b>column</b>"]})
    url, session = serve(df, ["<i>one</i>", HOSTILE[:90]], text_col=("<u>a</u>", "b"))
    page.open(url)
    page.until(lambda: len(page.find("#classes button")) == 2)
    assert page.texts == [HOSTILE, "second <b>column</b>"]
    assert [h.text for h in page.find("#text h2")] == ["<u>a</u>", "b"]
    assert [b.text for b in page.find("#classes .name")] == ["<i>one</i>", HOSTILE[:90].strip()]
    page.press("2")
    page.until(lambda: page.text("#count").startswith("1 labeled"))
    assert page.texts == ["No more texts to label. All your labels are saved."]
    assert "hurt" not in page.driver.title and not page.find("main img, main script, aside img, aside script")
    assert labels_frame(session.database)["label"].tolist() == [HOSTILE[:90].strip()] and not page.errors()


def test_every_action_has_a_key(page, serve):
    url, session = serve(30, ["x", "y"], settings=Settings(seed=1))
    page.open(url)
    first = page.row
    page.type("n")
    page.type("not sure", ENTER)
    assert page.text("#noted") == "Note: not sure"
    page.press("1")
    assert page.text("#noted") == ""
    second = page.row
    page.press("s")
    page.press("u")
    assert page.row == second and page.text("#was").startswith("You skipped this text, which is undone.")
    page.press("b")
    assert page.row == first and page.text("#was").startswith("Labeled x. Press a key to change that")
    assert page.text("#noted") == "Note: not sure"
    page.press("2")  # changed in place, and on to where it was
    page.type("+")
    page.type("third class", ENTER)
    page.until(lambda: len(page.find("#classes button")) == 3)
    page.press("3")
    page.type("?")
    keys = [key.text for key in page.find("dialog[open] dt")]
    assert keys == ["1 – 9", "u", "b", "s", "n", "+", "h"]  # only those of this task
    page.type(ESCAPE)
    assert not page.find("dialog[open]")
    df = labels_frame(session.database)
    assert dict(zip(df["label"], df["note"].isna(), strict=True)) == {"y": False, "third class": True}
    assert df["note"][0] == "not sure" and session.database.count_labeled() == 2 and not page.errors()
    page.until(lambda: not [b for b in page.find("button, input") if b.is_displayed() and not b.accessible_name])
    assert page.find("#classes button")[0].get_attribute("aria-keyshortcuts") == "1"


def test_notes_are_kept_by_a_click_and_changed_on_a_labeled_text(page, serve):
    url, session = serve(30, ["x", "y"])
    page.open(url)
    first = page.row
    page.type("n")
    page.type("typed, no Enter")
    page.find("#classes button")[0].click()
    page.until(lambda: page.row != first)
    page.press("b")
    page.type("n")
    page.type(" and more")
    page.type(ESCAPE)  # leaves the field as it was
    assert page.text("#noted") == "Note: typed, no Enter"
    page.type("n")
    page.type("!", ENTER)
    page.until(lambda: session.database.labels()[0].note == "typed, no Enter!")  # at once: the text is labeled
    page.press(ESCAPE)
    page.press("b")
    assert page.row == first and page.text("#noted") == "Note: typed, no Enter!"
    page.press("2")
    df = labels_frame(session.database)
    assert df[["label", "note"]].values.tolist() == [["y", "typed, no Enter!"]] and not page.errors()


def test_after_every_control_keys_label_again(page, serve):
    url, session = serve(30, ["x, y", "z"], "multi-label")
    page.open(url)
    focused = lambda: page.driver.switch_to.active_element.get_attribute("id")  # noqa: E731
    page.type("1")
    page.press(ENTER)
    for selector in ("#undo", "#back", "#skip", "#hints", "#hints", "aside a", "#train"):
        page.find(selector)[0].click()
        page.until(lambda: focused() == "text")
    for selector, keys in [("#note", (ESCAPE,)), ("#note", ("a", ENTER)), ("#new", (ESCAPE,)), ("#new", ("w", ENTER)),
                           ("#bars .small", (ESCAPE,)), ("#bars .small", (BACKSPACE, "v", ENTER)),
                           ("#help", (ESCAPE,)), ("#help", (ENTER,)), ("#who", (ENTER,))]:  # fmt: skip
        page.find(selector)[0].click()
        page.until(lambda: focused() != "text")
        page.type(*keys)
        page.until(lambda: focused() == "text")
    assert not page.find("#bars form")
    page.until(lambda: [c.name for c in session.classes()] == ["x, v", "z", "w"])
    page.until(lambda: [b.text for b in page.find("#classes .name")] == ["x, v", "z", "w"])
    labeled = session.database.count_labeled()
    page.type("1", "2")
    page.press(ENTER)  # on to the next text, not the control that was used last
    assert session.database.count_labeled() == labeled + 1
    page.press("b")
    assert page.text("#was").startswith("Labeled x, v · z.") and not page.errors()


def test_several_labels_are_toggled_and_enter_continues(page, serve):
    url, session = serve(9, ["x", "y", "z"], "multi-label")
    page.open(url)
    page.type("1", "3", "2", "2")
    assert page.pressed() == ["true", "false", "true"]
    page.press(ENTER)
    page.press(ENTER)  # none of them
    assert labels_frame(session.database)["label"].tolist() == [["x", "z"], []]


def test_arrows_move_on_a_scale(page, serve):
    url, session = serve(9, ["low", "middle", "high"], "ordinal")
    page.open(url)
    page.type(RIGHT, RIGHT, RIGHT, LEFT)
    assert page.pressed() == ["false", "true", "false"]
    page.press(ENTER)
    page.press("3")
    assert labels_frame(session.database)["label"].tolist() == ["middle", "high"]


def test_more_than_nine_classes_are_searched(page, serve):
    url, session = serve(9, [f"class {name}" for name in "abcdefghijklmno"])
    page.open(url)
    script = "state.classes = ['more', 'a retry', 'refund'].map(name => ({ name })); at('search').value = 're'; "
    wanted = ["refund", "a retry", "more"]  # beginnings of names, beginnings of words, the rest
    assert page.driver.execute_script(script + "return matching().map(c => c.name)") == wanted
    page.open(url)
    page.until(lambda: page.driver.switch_to.active_element.get_attribute("id") == "search")  # type at once
    page.type("ss m")
    assert [b.text for b in page.find("#classes .name")] == ["class m"]
    page.press(ENTER)
    page.press("2")  # nothing typed: the second class
    page.type(ESCAPE)
    page.press("s")  # outside the search, keys are keys again
    assert labels_frame(session.database)["label"].tolist() == ["class m", "class b"]


@pytest.mark.parametrize("page", [390, 1280], indirect=True)
def test_the_panel_shows_what_the_model_has_learned(page, serve, tmp_path):
    settings = Settings(hidden_first=5, hidden_share=0, random_share=0.75)
    url, session = serve(topics(120, seed=2, topic_words=4), NAMES, settings=settings)
    page.open(url)
    times = []
    for _ in range(60):
        (text,) = page.texts
        start = time.perf_counter()
        page.press(str(1 + NAMES.index(topic_of(text))))
        times.append(time.perf_counter() - start)
    page.until(lambda: page.find("#accuracy svg"))
    page.until(lambda: page.find("#classes .suggested"))
    page.until(lambda: page.find("#text mark"))
    page.until(lambda: "50 more: about" in page.text("#accuracy"))
    page.until(lambda: page.text("#bars li").startswith("sport"))
    assert page.find("#track")[0].get_attribute("aria-valuenow") > "0"
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    shades = []
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        shades.append(page.driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
        page.driver.save_screenshot(str(tmp_path / f"{scheme}.png"))
    assert shades == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]
    page.press("1")
    assert session.database.labels()[-1].shown
    page.type("h")
    page.press("1")  # a text prepared while suggestions were on
    page.press("1")
    assert not page.find("#classes .suggested, #text mark")
    last = session.database.labels()[-1]
    assert last.suggestion and not last.shown  # the page did not show it
    assert not page.errors() and sorted(times)[len(times) // 2] < 0.5  # including the driver's round trip


def test_words_are_marked_once_the_model_is_free_again(page, serve):
    url, session = serve(topics(120, seed=2, topic_words=4), NAMES, settings=Settings(hidden_first=5, hidden_share=0))
    session.database.append_known({row.id: topic_of(row.texts[0]) for row in session.rows[:40]}, "ben", "random")
    session.model.wake()
    page.until(lambda: session.model.fit is not None and session.model.embedded.all())
    with session.model.embedding:  # as while it embeds
        page.open(url)
        page.until(lambda: page.find("#classes .suggested"))
        time.sleep(PATIENCE + 0.5)
        assert not page.find("#text mark")
    page.until(lambda: page.find("#text mark"))  # on the same text


def test_labels_that_look_wrong_are_confirmed_or_changed(page, serve):
    url, session = serve(topics(160, seed=2, topic_words=8), NAMES)
    labels = {row.id: topic_of(row.texts[0]) for row in session.rows[:140]}
    wrong = [row.id for row in session.rows[:2]]
    for row in wrong:
        labels[row] = next(name for name in NAMES if name != labels[row])
    session.database.append_known(labels, "ben", "random")
    session.model.wake()
    page.open(url)
    page.until(lambda: len(page.find("#wrong li .buttons")) == 2)
    assert page.text("#wrong-title") == "2 labels look wrong"
    page.find("#wrong li:first-child button:nth-of-type(2)")[0].click()  # change to the prediction
    page.until(lambda: len(page.find("#wrong li .buttons")) == 1)
    page.find("#wrong li:first-child button:nth-of-type(1)")[0].click()  # keep
    page.until(lambda: not page.find("#wrong li .buttons"))
    now = {label.row: label for label in session.database.labels() if label.row in wrong}
    right = [now[row].label == topic_of(session.rows[i].texts[0]) for i, row in enumerate(wrong)]
    assert sorted(right) == [False, True] and {label.who for label in now.values()} == {"anna"}
    assert not session.progress()["assessment"]["suspicions"]
    others = {row.id: topic_of(row.texts[0]) for row in session.rows[140:]}
    session.database.append_known(others, "ben", "random")
    session.model.wake()
    page.until(lambda: session.model.assessment.labels == 160)
    assert not set(wrong) & {suspicion.row for suspicion in session.model.assessment.suspicions}


def test_classes_are_renamed_and_merged_on_the_page(page, serve):
    url, session = serve(9, ["x", "y"])
    page.open(url)
    page.press("1")
    page.press("2")
    page.until(lambda: page.find("#bars li"))
    page.find("#bars li:nth-child(2) button")[0].click()
    page.type(*[BACKSPACE] * 3, "x", ENTER)  # the name of the other class
    page.until(lambda: len(page.find("#classes button")) == 1)
    assert session.progress()["counts"] == {"x": 2} and "with y" in page.text("#bars")
    page.find("#bars li button[aria-label^='Make y']")[0].click()
    page.until(lambda: len(page.find("#classes button")) == 2)
    assert session.progress()["counts"] == {"x": 1, "y": 1}


def test_a_tuned_encoder_is_a_line(page, serve):
    url, session = serve(30, NAMES)
    session.model.tuning = EncoderTuning(session.database.file, "minilm")  # too few labels to start
    session.model.tuned = Tuned(80, 0.86, 0.914, session.model.embeddings)
    page.open(url)
    page.until(lambda: page.text("#tuning"))
    scores = "91% in cross-validation, 86% without tuning"
    assert page.text("#tuning") == f"Encoder tuned on 80 labels: {scores}."
    session.model.tuned = Tuned(160, 0.9, 0.9, None)
    session.model.tuning.problem = "No space is left."
    page.until(lambda: "160" in page.text("#tuning"))
    assert page.text("#tuning") == (
        "Encoder not tuned: with 160 labels it would be no better (90% in cross-validation, 90% without tuning). "
        "The encoder could not be tuned: No space is left."
    )
    assert not page.errors()


@pytest.mark.parametrize("page", [390, 1280], indirect=True)
def test_each_text_reads_in_its_own_direction(page, serve):
    arabic, english = "وصل المصباح مكسورا", "The lamp arrived broken"
    df = pd.DataFrame({"original": [arabic], "translation": [english]})
    url, _ = serve(df, ["تسليم", "refund"], text_col=("original", "translation"))
    page.open(url)
    assert [reads_from_the_right(page.driver, p) for p in page.find("#text p")] == [True, False]
    assert page.texts == [arabic, english]
