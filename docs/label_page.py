"""A short loop of the page of `kickbert label`: forty texts by the keys 1 to 4, the last ones shown, in light and dark.

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
from helpers.browsers import chromium, show_at  # noqa: E402 - it lies beside the tests
from helpers.serving import Server  # noqa: E402

SIZE, PAUSE = (1080, 640), 900  # pixels; ms that a picture stays
LABELS, SHOWN = 40, 10  # texts that are labelled, and the last of them, which are shown
CLASSES = ["Household", "Books", "Electronics", "Clothing & Accessories"]


def pictures(scheme: str, url: str, labels: dict[str, str]) -> Iterator[Image.Image]:
    """Label texts by keys, and look at the page before each of the last ones."""
    from selenium.webdriver.common.action_chains import ActionChains

    with tempfile.TemporaryDirectory() as profile:
        driver = chromium(Path(profile))
        try:
            show_at(driver, *SIZE)
            feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
            driver.get(url)
            for i in range(LABELS):
                time.sleep(0.5)  # the model is fitted anew
                text = driver.execute_script("return document.querySelector('#text p').textContent")
                if i >= LABELS - SHOWN:
                    yield Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
                ActionChains(driver).send_keys(str(CLASSES.index(labels[text]) + 1)).perform()
        finally:
            driver.quit()


def loop(scheme: str) -> None:
    """Serve the page, and write what it looked like."""
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
