"""Tables in files: CSV, JSON lines, Parquet, Excel, and text files with one text per line.

Input: a file. Output: DataFrames, whole or in chunks, and files of them. Start reading at `reading.TableFile`."""
