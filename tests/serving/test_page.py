"""The web page of a service, in a real browser."""

import json
import re
import shlex

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
from helpers.browsers import chromium, needs_driver, reads_from_the_right, show_at
from helpers.serving import Server

pytestmark = [needs_driver, pytest.mark.system]


@pytest.fixture(scope="module")
def server(served):
    server = Server(served / "one", "--example", "it's a bright film", "--example", "x" * 80)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def keyed_server(served):
    server = Server(served / "two", "--api-key", "secret")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(downloads):
    driver = chromium(downloads / "profile", "--window-size=1280,1100", downloads=downloads)
    yield driver
    driver.quit()


@pytest.fixture(params=[390, 1280])
def browser(request, driver):
    show_at(driver, request.param, 1100)
    return driver


def until(browser, condition):
    """Wait until a condition is true; return its value."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 60).until(lambda _: condition())


def test_predict_explain_and_predict_a_file(server, browser, downloads):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def find(selector: str) -> list:
        return browser.find_elements(By.CSS_SELECTOR, selector)

    browser.get(server.url)
    until(browser, lambda: find("#fields textarea"))
    about = browser.find_element(By.ID, "about").text
    assert about.startswith("single label: bad, good · ") and "version v1" in about
    assert browser.find_element(By.ID, "title").text.startswith("Classify a text: ")

    # By keyboard alone: into the field, type, to the button, press it.
    box = find("#fields textarea")[0]
    assert find(f"label[for='{box.get_attribute('id')}']")[0].text == "Text"
    box.send_keys("a bright, warm film", Keys.TAB, Keys.TAB, Keys.TAB)  # past two examples
    assert browser.switch_to.active_element.get_attribute("id") == "go"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    predicted = until(browser, lambda: find("#prediction .predicted"))[0].text
    assert re.fullmatch(r"(good|bad) \(\d\d\.\d%\)", predicted) and len(find("#prediction li")) == 2
    bars = [float(b.get_attribute("style").split("width: ")[1].split("%")[0]) for b in find("#prediction .bar i")]
    assert sum(bars) == pytest.approx(100, abs=0.1) and bars == sorted(bars, reverse=True)

    find("#explain")[0].click()
    words = until(browser, lambda: find("#explanation mark"))
    assert [w.text for w in words] == ["a", "bright,", "warm", "film"]
    assert any("rgba" in w.get_attribute("style") for w in words)
    assert not reads_from_the_right(browser, find("#explanation .words")[0])
    box.clear()
    box.send_keys("وصل المصباح مكسورا", Keys.CONTROL, Keys.ENTER)
    until(browser, lambda: not find("#explanation mark"))  # a new prediction replaces the explanation
    find("#explain")[0].click()
    assert until(browser, lambda: find("#explanation mark"))[0].text == "وصل"
    assert reads_from_the_right(browser, find("#explanation .words")[0])

    (downloads / "classified_rows.csv").unlink(missing_ok=True)
    (downloads / "rows.csv").write_text('id,text\n1,"a dull, <b>cold</b> film"\n2,\n', encoding="utf-8")
    find("#file")[0].send_keys(str(downloads / "rows.csv"))
    until(browser, lambda: find("#classified a"))
    assert "2 rows classified, 1 without text" in find("#classified p")[0].text
    assert [c.text for c in find("#classified th")] == [
        "id",
        "text",
        "predicted_label",
        "confidence",
        "prob_bad",
        "prob_good",
    ]
    cells = [c.text for c in find("#classified td")]
    assert cells[1] == "a dull, <b>cold</b> film" and cells[3].endswith("%")  # as text, not as HTML
    find("#classified a")[0].click()
    until(browser, lambda: (downloads / "classified_rows.csv").exists())
    assert (downloads / "classified_rows.csv").read_text().startswith("id,text,predicted_label")

    (downloads / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    find("#file")[0].send_keys(str(downloads / "other.csv"))
    error = until(browser, lambda: find("#classified .error"))[0]
    assert "no column 'text'" in error.text and "409" not in error.text and error.get_attribute("role") == "alert"

    wide = browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert wide, "the page is wider than the window"
    errors = [e for e in browser.get_log("browser") if e["level"] == "SEVERE" and "409" not in e["message"]]
    assert not errors


def test_examples_low_confidence_and_the_command(server, browser):
    browser.get(server.url)
    buttons = until(browser, lambda: browser.find_elements("css selector", "#examples button"))
    assert [b.text for b in buttons] == ["it's a bright film", "x" * 59 + "…"]
    buttons[0].click()
    until(browser, lambda: browser.find_elements("css selector", "#prediction .predicted"))
    curl = browser.find_element("id", "curl").text.replace("\\\n", "")
    url, *options, body = shlex.split(curl)[1:]
    assert url == f"{server.url}/predict" and json.loads(body) == {"text": "it's a bright film"}
    assert options == ["-H", "Content-Type: application/json", "-d"]
    answer = "call = async () => new Response(JSON.stringify({ predictions: [arguments[0]] })); return classify()"
    unsure = {"label": "good", "confidence": 0.44, "probabilities": {"good": 0.44, "bad": 0.56 - 1e-6, "so": 1e-6}}
    browser.execute_script(answer, unsure)
    hint = until(browser, lambda: browser.find_elements("css selector", "#prediction .hint"))[0].text
    assert hint == "Low confidence: more likely wrong than right."
    assert [b.text for b in browser.find_elements("css selector", "#prediction li span:last-child")] == [
        "56.0%",
        "44.0%",
        "<0.1%",
    ]
    browser.execute_script(answer, unsure | {"confidence": 0.9})
    until(browser, lambda: not browser.find_elements("css selector", "#prediction .hint"))


def test_the_key_is_asked_for(keyed_server, browser):
    browser.get(keyed_server.url)
    key = browser.find_element("id", "api-key")
    until(browser, key.is_displayed)
    key.send_keys("secret")
    browser.find_element("css selector", "#key button").click()
    until(browser, lambda: len(browser.find_elements("css selector", "#fields textarea")) == 2)
    assert not key.is_displayed()
    words = shlex.split(browser.find_element("id", "curl").text.replace("\\\n", ""))
    assert json.loads(words[-1]) == {"text": {"text": "A text", "more": "A text"}} and "X-API-Key: …" in words
