"""Record a short loop of the labeling page: forty texts labeled by keys, the last ones shown, in light and dark.

python docs/label_page.py         # two minutes; needs Chromium and its driver; writes docs/label_page-*.webp
"""

import io
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from PIL import Image

DOCS = Path(__file__).resolve().parent
sys.path.append(str(DOCS.parent / "tests"))
from helpers.browsers import chromium, show_at  # noqa: E402 - tests/ is on the path only now
from helpers.serving import Server  # noqa: E402

SIZE, PAUSE = (1080, 640), 900  # pixels; ms per picture
LABELS, SHOWN = 40, 10  # number of labeled texts, and of the last ones, which are shown
CLASSES = ["Household", "Books", "Electronics", "Clothing & Accessories"]


def pictures(scheme: str, url: str, labels: dict[str, str]) -> Iterator[Image.Image]:
    """Label texts by keys, and take a screenshot before each of the last ones."""
    from selenium.webdriver.common.action_chains import ActionChains

    with tempfile.TemporaryDirectory() as profile:
        driver = chromium(Path(profile))
        try:
            show_at(driver, *SIZE)
            feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
            driver.get(url)
            for i in range(LABELS):
                time.sleep(0.5)  # the model is fitted again
                text = driver.execute_script("return document.querySelector('#text p').textContent")
                if i >= LABELS - SHOWN:
                    yield Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
                ActionChains(driver).send_keys(str(CLASSES.index(labels[text]) + 1)).perform()
        finally:
            driver.quit()


def loop(scheme: str) -> None:
    """Serve the page, and write the screenshots as a loop."""
    df = pd.read_csv(DOCS.parent / "data" / "ecommerce_sample.csv")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "products.csv"
        df[["text"]].to_csv(file, index=False)
        options = ["--labels", ",".join(CLASSES), "--out", Path(scratch) / "labels.db"]
        server = Server(file, *options, command="label")
        try:
            first, *rest = pictures(scheme, server.url, dict(zip(df["text"], df["label"], strict=True)))
        finally:
            server.stop()
    goal = DOCS / f"label_page-{scheme}.webp"
    first.save(goal, save_all=True, append_images=rest, duration=PAUSE, loop=0, quality=60, method=6)
    print(goal, goal.stat().st_size)


if __name__ == "__main__":
    for scheme in ("light", "dark"):
        loop(scheme)
