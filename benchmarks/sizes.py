"""What one request of any size under the body limit costs a service: seconds, memory, and how long others wait.

    python benchmarks/sizes.py            # needs predicting.py's models

For each body a fresh `kickbert serve` of the exported sst2 model on loopback, with its default limits; the hostile ones
are nearly as large as the limit of 10 MiB allows. Meanwhile the service's memory is read fifty times a second, and
`/health` is asked as often. Memory is given as a multiple of the idle service's.
"""

import argparse
import json
import threading
import time
from collections.abc import Callable

import httpx
import pandas as pd
import psutil
from load import PORT, service, texts_of
from predicting import saved

LIMIT = 10 * 2**20
PAUSE = 0.02
COLUMNS = {
    "MB": ".1f",
    "status": "d",
    "seconds": ".2f",
    "answer kB": ",.1f",
    "memory, times idle": ".2f",
    "slowest /health s": ".2f",
}
JSON, CSV = "application/json", "text/csv"


def filled(start: bytes, part: bytes, end: bytes = b"") -> bytes:
    """As many of a part as there is room for."""
    return start + part * ((LIMIT - len(start) - len(end) - 64) // len(part)) + end


def texts(count: int, text: str) -> bytes:
    """A request of the same text again and again, told apart by its number."""
    return json.dumps({"texts": [f"{i} {text}"[: len(text)] for i in range(count)]}).encode()


def bodies() -> dict[str, tuple[str, bytes]]:
    """A route and a body by what is large in it."""
    words = " ".join(texts_of(0)[:4_000])
    sentences = pd.DataFrame({"text": texts_of(0)[:2_000]}).to_csv(index=False).encode()
    many_keys = b",".join(b'"k%d":1' % i for i in range(700_000))
    return {
        "20 texts of a sentence": ("predict", json.dumps({"texts": texts_of(0)[:20]}).encode()),
        "1,000 texts of a sentence": ("predict", json.dumps({"texts": texts_of(0)[:1_000]}).encode()),
        "1,000 texts of 10,000 characters": ("predict", texts(1_000, words[:10_000])),
        "100 texts of 100,000 characters": ("predict", texts(100, words[:100_000])),
        "a text of 100,000 characters and no space": ("predict", texts(1, "x" * 100_000)),
        "a text of 10 million characters": ("predict", filled(b'{"texts":"', b"a", b'"}')),
        "a text of 5 million escapes": ("predict", filled(b'{"texts":"', b"\\n", b'"}')),
        "500,000 numbers (1 MB)": ("predict", b'{"texts":[' + b"1," * 499_999 + b"1]}"),
        "5 million numbers": ("predict", filled(b'{"texts":[', b"1,", b"1]}")),
        "3.5 million empty texts": ("predict", filled(b'{"texts":[', b'"",', b'""]}')),
        "3.5 million empty objects": ("predict", filled(b'{"texts":[', b"{},", b"{}]}")),
        "nested 10 million deep": ("predict", filled(b'{"texts":', b"[")),
        "nested 900 deep": ("predict", b'{"texts":' + b"[" * 900 + b"]" * 900 + b"}"),
        "700,000 keys": ("predict", b"{" + many_keys + b"}"),
        "a key of 10 million characters": ("predict", filled(b'{"texts":"a","', b"k", b'":1}')),
        "a number of 10 million digits": ("predict", filled(b'{"texts":', b"1", b"}")),
        "an unclosed text": ("predict", filled(b'{"texts":"', b'\\"')),
        "a text of 2,000 characters to explain": ("explain", json.dumps({"text": words[:2_000]}).encode()),
        "a text of 100,000 characters to explain": ("explain", json.dumps({"text": words[:100_000]}).encode()),
        "a file of 5 million columns": ("label", filled(b"text", b",a", b"\nfilm")),
        "a file of 5 million rows": ("label", filled(b"text\n", b"a\n")),
        "a file of a cell of 10 million characters": ("label", filled(b"text\n", b"a")),
        "a file of an unclosed quote": ("label", filled(b'text\n"', b"a\n")),
        "a file of 2,000 sentences": ("label", sentences),
    }


def watching(stop: threading.Event, look: Callable[[], float], seen: list[float]) -> threading.Thread:
    """A thread that looks again and again until it is stopped."""

    def run() -> None:
        while not stop.is_set():
            seen.append(look())
            time.sleep(PAUSE)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def measure(server: psutil.Process, route: str, body: bytes) -> dict:
    """Status, seconds and size of an answer; the service's highest memory and the slowest `/health` meanwhile."""
    url, stop, memory, health = f"http://127.0.0.1:{PORT}", threading.Event(), [], []
    idle = server.memory_info().rss
    with httpx.Client(base_url=url, timeout=120) as asked, httpx.Client(base_url=url, timeout=120) as other:
        threads = [
            watching(stop, lambda: server.memory_info().rss, memory),
            watching(stop, lambda: other.get("/health").elapsed.total_seconds(), health),
        ]
        start = time.perf_counter()
        answer = asked.post(f"/{route}", content=body, headers={"Content-Type": CSV if route == "label" else JSON})
        seconds = time.perf_counter() - start
        stop.set()
        for thread in threads:
            thread.join()
    return {
        "MB": len(body) / 1e6, "status": answer.status_code, "seconds": seconds, "answer kB": len(answer.content) / 1e3,
        "memory, times idle": max(memory) / idle, "slowest /health s": max(health),
    }  # fmt: skip


def main() -> None:
    """Send each body to one service and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of the names of the bodies to send")
    only = parser.parse_args().only
    chosen = {name: body for name, body in bodies().items() if only in name}
    print(f"| body | {' | '.join(COLUMNS)} |\n|---{'|---' * len(COLUMNS)}|")
    for name, (route, body) in chosen.items():
        with service(saved("sst2", 0)) as process:
            row = measure(psutil.Process(process.pid), route, body)
        cells = (f"{row[key]:{form}}" for key, form in COLUMNS.items())
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
