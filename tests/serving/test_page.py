"""The page of a service, in a real browser: it types, clicks, drops a file and looks."""

import json
import shlex

import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")
from helpers.browsers import chromium, needs_driver, reads_from_the_right, show_at
from helpers.serving import Server

pytestmark = needs_driver


@pytest.fixture(scope="module")
def server(served):
    made = Server(served / "one")
    yield made
    made.stop()


@pytest.fixture(params=[390, 1280])
def browser(request, tmp_path):
    driver = chromium(tmp_path / "profile", f"--window-size={request.param},1100", downloads=tmp_path)
    show_at(driver, request.param, 1100)
    yield driver
    driver.quit()


def until(browser, said):
    """Wait until a condition holds of the page; its value."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 60).until(lambda _: said())


def test_a_person_classifies_asks_why_and_classifies_a_file(server, browser, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def found(selector: str) -> list:
        return browser.find_elements(By.CSS_SELECTOR, selector)

    browser.get(server.url)
    until(browser, lambda: found("#fields textarea"))
    about = browser.find_element(By.ID, "about").text
    assert about.startswith("single label: bad, good · ") and "version v1" in about
    assert browser.find_element(By.ID, "title").text.startswith("Classify a text: ")

    # By keyboard alone: into the field, type, to the button, press it.
    box = found("#fields textarea")[0]
    assert found(f"label[for='{box.get_attribute('id')}']")[0].text == "text"
    box.send_keys("a bright, warm film", Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("id") == "go"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    said = until(browser, lambda: found("#prediction .predicted"))[0].text
    assert said in ("good", "bad") and len(found("#prediction li")) == 2
    bars = [float(b.get_attribute("style").split("width: ")[1].split("%")[0]) for b in found("#prediction .bar i")]
    assert sum(bars) == pytest.approx(100, abs=0.1) and bars == sorted(bars, reverse=True)

    found("#explain")[0].click()
    words = until(browser, lambda: found("#explanation mark"))
    assert [w.text for w in words] == ["a", "bright,", "warm", "film"]
    assert any("rgba" in w.get_attribute("style") for w in words)
    assert not reads_from_the_right(browser, found("#explanation .words")[0])
    box.clear()
    box.send_keys("وصل المصباح مكسورا")
    found("#explain")[0].click()
    first = (
        "return document.querySelector('#explanation mark')?.textContent"  # at once: elements are replaced meanwhile
    )
    until(browser, lambda: browser.execute_script(first) == "وصل")
    assert reads_from_the_right(browser, found("#explanation .words")[0])

    (tmp_path / "rows.csv").write_text('id,text\n1,"a dull, <b>cold</b> film"\n2,\n', encoding="utf-8")
    found("#file")[0].send_keys(str(tmp_path / "rows.csv"))
    until(browser, lambda: found("#classified a"))
    assert "2 rows classified, 1 without text" in found("#classified p")[0].text
    assert [c.text for c in found("#classified th")] == ["id", "text", "label", "confidence", "prob_bad", "prob_good"]
    assert found("#classified td")[1].text == "a dull, <b>cold</b> film"  # as text, not as HTML
    found("#classified a")[0].click()
    until(browser, lambda: (tmp_path / "classified_rows.csv").exists())
    assert (tmp_path / "classified_rows.csv").read_text().startswith("id,text,label")

    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    found("#file")[0].send_keys(str(tmp_path / "other.csv"))
    error = until(browser, lambda: found("#classified .error"))[0]
    assert "has no column 'text'; it has ['a', 'b']" in error.text and error.get_attribute("role") == "alert"

    wide = browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert wide, "the page is wider than the window"
    picture = tmp_path / "page.png"
    browser.save_screenshot(str(picture))
    assert picture.stat().st_size > 10_000
    errors = [e for e in browser.get_log("browser") if e["level"] == "SEVERE" and "409" not in e["message"]]
    assert not errors


def test_examples_a_hint_at_low_confidence_and_a_command_that_works(served, browser):
    server = Server(served / "one", "--example", "it's a bright film", "--example", "x" * 80)
    try:
        browser.get(server.url)
        buttons = until(browser, lambda: browser.find_elements("css selector", "#examples button"))
        assert [b.text for b in buttons] == ["it's a bright film", "x" * 59 + "…"]
        buttons[0].click()
        until(browser, lambda: browser.find_elements("css selector", "#prediction .predicted"))
        curl = browser.find_element("id", "curl").text
        url, *options, body = shlex.split(curl)[1:]
        assert url == f"{server.url}/predict" and json.loads(body) == {"text": "it's a bright film"}
        assert options == ["-H", "Content-Type: application/json", "-d"]
        low = "call = async () => new Response(JSON.stringify({ predictions: [arguments[0]] })); return classify()"
        unsure = {"label": "good", "confidence": 0.44, "probabilities": {"good": 0.44, "bad": 0.3, "so": 0.26}}
        browser.execute_script(low, unsure)
        hint = until(browser, lambda: browser.find_elements("css selector", "#prediction .hint"))[0].text
        assert hint == "Low confidence (44 %): more likely wrong than right."
        browser.execute_script(low, unsure | {"confidence": 0.9})
        until(browser, lambda: not browser.find_elements("css selector", "#prediction .hint"))
    finally:
        server.stop()


def test_a_key_is_asked_for(served, browser):
    from selenium.webdriver.common.by import By

    server = Server(served / "two", "--api-key", "secret")
    try:
        browser.get(server.url)
        key = browser.find_element(By.ID, "api-key")
        until(browser, key.is_displayed)
        key.send_keys("secret")
        browser.find_element(By.CSS_SELECTOR, "#key button").click()
        until(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "#fields textarea")) == 2)
        assert not key.is_displayed()
        words = shlex.split(browser.find_element(By.ID, "curl").text)
        assert json.loads(words[-1]) == {"text": {"text": "A text", "more": "A text"}} and "X-API-Key: …" in words
    finally:
        server.stop()
