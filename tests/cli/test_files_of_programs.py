"""Files of a dozen programs: every command that reads rows reads the same ones, those of `read_rows`."""

import csv
import json
import sqlite3
import subprocess

import numpy as np
import pandas as pd
import pytest

import kickbert as package
from kickbert.data.tables.reading import read_rows

pytestmark = pytest.mark.system
PLAIN = ["a bright, warm film", 'he said "great"', "née à Paris", "007", "1.50", "it's; fine", "a | b", "# one"]
ROWS = [(f"{text} no {i}" if i else text, ("good", "bad")[k % 2]) for i in range(6) for k, text in enumerate(PLAIN)]


def by_csv_module(folder, rows, dialect):
    file = folder / f"{dialect}.csv"
    with open(file, "w", encoding="utf-8", newline="") as out:
        csv.writer(out, dialect).writerows([("text", "label"), *rows])
    return file


def by_pandas(folder, rows, name):
    write = {"csv": "to_csv", "xlsx": "to_excel", "parquet": "to_parquet", "json": "to_json", "jsonl": "to_json"}
    kind = name.split(".")[1]
    options = {"jsonl": {"orient": "records", "lines": True}, "json": {}}.get(kind, {"index": False})
    getattr(pd.DataFrame(rows, columns=["text", "label"]), write[kind])(folder / name, **options)
    return folder / name


def by_pyarrow(folder, rows, name):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import csv as arrow_csv
    from pyarrow import feather

    table = pa.table(dict(zip(("text", "label"), map(list, zip(*rows, strict=True)), strict=True)))
    write = {"csv": arrow_csv.write_csv, "feather": feather.write_feather}[name.split(".")[1]]
    write(table, str(folder / name))
    return folder / name


def by_duckdb(folder, rows):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    with duckdb.connect() as connection:
        connection.register("frame", pd.DataFrame(rows, columns=["text", "label"]))
        connection.sql(f"copy frame to '{folder / 'duck.csv'}' (header)")
    return folder / "duck.csv"


def by_polars(folder, rows, name):
    pl = pytest.importorskip("polars", reason="polars is not installed")
    frame = pl.DataFrame(rows, schema=["text", "label"], orient="row")
    getattr(frame, {"csv": "write_csv", "ndjson": "write_ndjson"}[name.split(".")[1]])(folder / name)
    return folder / name


def by_sqlite(folder, rows):
    with sqlite3.connect(folder / "rows.db") as database:
        database.execute("create table rows (text, label)")
        database.executemany("insert into rows values (?, ?)", rows)
    command = ["sqlite3", "-header", "-csv", str(folder / "rows.db"), "select * from rows"]
    try:
        content = subprocess.run(command, check=True, capture_output=True).stdout
    except FileNotFoundError:
        pytest.skip("the sqlite3 program is not installed")
    (folder / "sqlite.csv").write_bytes(content)
    return folder / "sqlite.csv"


def by_xlsxwriter(folder, rows):
    xlsxwriter = pytest.importorskip("xlsxwriter", reason="xlsxwriter is not installed")
    with xlsxwriter.Workbook(folder / "writer.xlsx") as book:
        sheet = book.add_worksheet("survey")
        for i, row in enumerate([("text", "label"), *rows]):
            for k, cell in enumerate(row):
                sheet.write_string(i, k, cell)
    return folder / "writer.xlsx"


def by_spark(folder, rows):
    pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed")
    from pyspark.sql import SparkSession

    try:
        spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", False).getOrCreate()
    except pyspark.errors.PySparkRuntimeError as err:
        pytest.skip(f"Spark does not start: {err}")
    try:
        frame = spark.createDataFrame(rows, ["text", "label"]).coalesce(1)
        frame.write.option("header", True).csv(str(folder / "spark"))
    finally:
        spark.stop()
    (file,) = (folder / "spark").glob("part-*.csv")
    return file


def by_r(folder, rows, sep):
    """The format of R's write.csv and write.csv2, by hand: quoted texts, and row names in a column without a name.

    See https://stat.ethz.ch/R-manual/R-devel/library/utils/html/write.table.html, "CSV files".
    """
    table = [("", "text", "label"), *((str(i), *row) for i, row in enumerate(rows, 1))]
    lines = [sep.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table]
    (folder / "r.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "r.csv"


def by_excel_as_text(folder, rows):
    """Excel's "Unicode text", written by hand: UTF-16 with a byte order mark, tabs, and quotes where needed."""
    with open(folder / "unicode.txt", "w", encoding="utf-16", newline="") as out:
        csv.writer(out, "excel-tab").writerows([("text", "label"), *rows])
    return folder / "unicode.txt"


PROGRAMS = {
    "csv excel": (by_csv_module, "excel"),
    "csv unix": (by_csv_module, "unix"),
    "csv excel-tab": (by_csv_module, "excel-tab"),
    "pandas csv": (by_pandas, "pandas.csv"),
    "pandas csv.bz2": (by_pandas, "pandas.csv.bz2"),
    "pandas parquet": (by_pandas, "pandas.parquet"),
    "pandas json": (by_pandas, "pandas.json"),
    "pandas json lines": (by_pandas, "pandas.jsonl"),
    "pandas and openpyxl": (by_pandas, "pandas.xlsx"),
    "xlsxwriter": (by_xlsxwriter,),
    "pyarrow csv": (by_pyarrow, "arrow.csv"),
    "pyarrow feather": (by_pyarrow, "arrow.feather"),
    "duckdb": (by_duckdb,),
    "polars csv": (by_polars, "polars.csv"),
    "polars ndjson": (by_polars, "polars.ndjson"),
    "sqlite3": (by_sqlite,),
    "spark": (by_spark,),
    "R write.csv": (by_r, ","),
    "R write.csv2": (by_r, ";"),
    "Excel Unicode text": (by_excel_as_text,),
}


@pytest.fixture
def seen(monkeypatch):
    """The frames that `train`, `evaluate`, `explore` and `label` hand on."""
    from kickbert.labeling import server

    frames = {}

    def spy(owner, name, rows=0, result=None):
        real = getattr(owner, name)

        def call(*args, **options):
            frames[name] = args[rows]
            return real(*args, **options) if result is None else result

        monkeypatch.setattr(owner, name, call)

    spy(package, "learner_from_df")
    spy(package, "evaluate", rows=1)
    spy(package, "explore")
    spy(server, "label_rows", result=True)
    return frames


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.filterwarnings("ignore")
def test_every_command_reads_the_same_rows(kickbert, tiny, tmp_path, seen, program):
    write, *arguments = PROGRAMS[program]
    file = write(tmp_path, ROWS, *arguments)
    df = read_rows(file, text_col=["text"])
    assert list(df[["text", "label"]].itertuples(index=False, name=None)) == ROWS

    train = kickbert("train", file, "--out", tmp_path / "k", "--model", tiny, "--epochs", 1)
    assert train.returncode == 0, train.stderr
    parts = seen["learner_from_df"].drop(columns="split")
    pd.testing.assert_frame_equal(parts.sort_index(), df.loc[parts.index].sort_index())
    assert kickbert("evaluate", tmp_path / "k", file).returncode == 0
    pd.testing.assert_frame_equal(seen["evaluate"], df)
    assert kickbert("explore", file, "--out", tmp_path / "e.html").returncode == 0
    pd.testing.assert_frame_equal(seen["explore"], df)
    assert kickbert("label", file, "--labels", "good,bad", "--out", tmp_path / "l.db").returncode == 0
    pd.testing.assert_frame_equal(seen["label_rows"], df)

    done = kickbert("predict", file, tmp_path / "out.jsonl", "--model", tmp_path / "k", "--backend", "torch", "--json")
    assert json.loads(done.stdout)["rows"] == len(ROWS), done.stderr
    predicted = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["text"], row["label"]) for row in predicted] == ROWS
    expected = package.load(tmp_path / "k", "torch").predict_df(df)
    np.testing.assert_allclose([row["confidence"] for row in predicted], expected["confidence"], atol=1e-5)
