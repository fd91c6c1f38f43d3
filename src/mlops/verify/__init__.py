"""`mlops verify`: a commit is rebuilt from nothing but itself and its raw data, and compared with what it recorded.

verify       the question and its answer, put together
rebuild      the commit in an empty folder, its pipeline run there without any cache
environment  the packages that the commit recorded against those that are installed
compare      stage by stage, output by output: digests of files
files        what differs in a file of other bytes
close        when two numbers count as equal
tables       Parquet: which column, in how many rows, how much
documents    JSON and delimited text: which value
models       trees and ONNX: which tree, which node, how much
proof        the answer, for people, for a tag and as an exit code
"""
