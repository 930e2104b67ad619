"""The page of a service, in a real browser: it types, clicks, drops a file and looks."""

import shutil

import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")
from serving import Server

DRIVER = shutil.which("chromedriver")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    DRIVER is None or BROWSER is None, reason="no Chromium with its driver is installed; .ci/run installs them"
)


@pytest.fixture(scope="module")
def server(served):
    made = Server(served / "one")
    yield made
    made.stop()


@pytest.fixture(params=[390, 1280])
def browser(request, tmp_path):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
    )
    for flag in (*flags, f"--window-size={request.param},1100", f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    size = {"width": request.param, "height": 1100, "deviceScaleFactor": 1, "mobile": request.param < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)  # a window has a least width, a phone has not
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
    assert "single label, 2 outputs, version v1" in browser.find_element(By.ID, "about").text

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
    finally:
        server.stop()
