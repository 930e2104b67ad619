"""A real headless Chromium for tests that look at pages."""

import shutil
from pathlib import Path

import pytest

DRIVER = shutil.which("chromedriver")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
needs_driver = pytest.mark.skipif(
    DRIVER is None or BROWSER is None, reason="Chromium and its driver are not installed; .ci/run installs them"
)


def chromium(profile: Path, *flags: str, downloads: Path | None = None):
    """A browser controlled by Selenium that records what pages log; the caller quits it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, "--disable-dev-shm-usage", *flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if downloads is not None:
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    return driver


def show_at(driver, width: int, height: int) -> None:
    """Set the width of the page; a window has a minimum width, a phone does not."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def reads_from_the_right(driver, element) -> bool:
    """Whether the first character of an element's text is at its right edge, as in Arabic."""
    first, box = driver.execute_script(
        "const range = document.createRange(), text = document.createTreeWalker(arguments[0], 4).nextNode();"
        "range.setStart(text, 0); range.setEnd(text, 1);"
        "const edges = r => [r.left, r.right];"
        "return [edges(range.getBoundingClientRect()), edges(arguments[0].getBoundingClientRect())]",
        element,
    )
    at_left, at_right = abs(first[0] - box[0]) < 20, abs(first[1] - box[1]) < 20
    assert at_left != at_right, (first, box)
    return at_right
