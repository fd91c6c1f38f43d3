"""People's own tables: what their files are, how they are written, what each column is.

source    bytes of a file: compression, encoding, digest, and what it is when it is no table
dialect   delimiter, header and decimal sign of a delimited text
read      files as columns of strings (CSV) or of their own types (Parquet), and the records that are no rows
values    one column as its kind: numbers, booleans, dates, words
typed     all files as one typed table, as `ingest` writes it
infer     what kind each column is
use       `mlops data use`
show      `mlops data show`
"""
