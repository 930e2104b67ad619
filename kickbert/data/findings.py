"""The three most useful sentences about a table of texts: first what needs action, then what is fine."""

from collections import Counter

import pandas as pd

from kickbert.utils.messages import plural, shorten

FINDINGS = 3
UNEVEN = 5  # times as many rows in the largest class as in the smallest


def findings(summary: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Choose three sentences about an exploration.

    Args:
        summary, tables: as in `Exploration`.
    """
    count = Counter(dict(zip(summary["statistic"], summary["value"], strict=True)))
    problems = [*_leaks(count), *_labels(count), *_classes(tables), *_texts(count), *_lengths(tables)]
    return [*problems, *_fine(count)][:FINDINGS]


def uneven(counts: pd.Series) -> bool:
    """Tell whether some class has far fewer rows than the largest one."""
    return bool(counts.max() > UNEVEN * counts.min())


def _leaks(count: Counter[str]) -> list[str]:
    leaked = count["test rows also in the training set"]
    return [f"{plural(leaked, 'test row')} also in the training set: scores will look too good."] if leaked else []


def _labels(count: Counter[str]) -> list[str]:
    doubtful = count["suspicious labels"]
    return [f"{plural(doubtful, 'label')} probably wrong: read them on the page."] if doubtful else []


def _classes(tables: dict[str, pd.DataFrame]) -> list[str]:
    """The imbalance of the classes, if they are uneven."""
    table = tables.get("classes")
    if table is None or not uneven(table["rows"]):
        return []
    largest, smallest = table.iloc[0], table.iloc[-1]
    return [
        f"Uneven classes: {_name(largest)} has {plural(largest['rows'], 'row')} ({largest['share']:.0%}), "
        f"{_name(smallest)} has {smallest['rows']:,}; balanced class weights may help if rare classes matter."
    ]


def _name(row: pd.Series) -> str:
    return repr(shorten(row["class"], 40))


def _texts(count: Counter[str]) -> list[str]:
    """Rows whose text is missing or repeated."""
    out = []
    if empty := count["rows without text"]:
        out.append(f"{plural(empty, 'row')} without text: skipped in training.")
    if copies := count["exact duplicates"]:
        out.append(f"{plural(copies, 'exact duplicate')} of an earlier text: drop them.")
    if near := count["groups of near duplicates"]:
        out.append(f"{plural(near, 'group')} of near duplicates: keep each in the same split.")
    return out


def _lengths(tables: dict[str, pd.DataFrame]) -> list[str]:
    """The texts that are longer than the longest input of most encoders."""
    last = tables["lengths"].iloc[-1]
    share, tokens = last["share truncated"], int(last["max_length"])
    return [f"{share:.0%} of the texts are longer than {tokens} tokens and would be truncated."] if share > 0.05 else []


def _fine(count: Counter[str]) -> list[str]:
    """What needs no action, to fill up the three sentences."""
    classes = f" in {plural(count['classes'], 'class', 'classes')}" if "classes" in count else ""
    repeated = count["exact duplicates"] or count["rows without text"]
    return [
        f"{plural(count['rows'], 'row')}{classes}.",
        f"The median text has {plural(count['median tokens'], 'token')}.",
        *([] if repeated else ["No exact duplicates and no rows without text."]),
    ]
