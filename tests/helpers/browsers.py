"""A real headless Chromium for tests that look at pages."""

import shutil
from pathlib import Path

import pytest

DRIVER = shutil.which("chromedriver")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
needs_driver = pytest.mark.skipif(
    DRIVER is None or BROWSER is None, reason="no Chromium with its driver is installed; .ci/run installs them"
)


def chromium(profile: Path, *flags: str, downloads: Path | None = None):
    """A browser under selenium's control, which keeps what pages log; to be quit by the caller."""
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
    """Make the page as wide as a phone or a screen: a window has a least width, a phone has not."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def reads_from_the_right(driver, element) -> bool:
    """Whether the first character of an element's text stands at its right edge, as in Arabic, and not at its left."""
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
