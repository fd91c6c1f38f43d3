"""`mlops predict`: scores of a whole file, CSV or Parquet, in bounded memory.

command    the command line's words → a request; signals, progress, what is said at the end
run        reads ahead on one thread, checks and scores on several, writes in the file's order
model      which model: a promoted version, or the workspace's own
source     the file's columns by name, and its rows in pieces (stream: its bytes as UTF-8; records: whole records)
check      cells as the model reads them; those that it does not take
score      pieces → raw scores and probabilities (booster: XGBoost in bulk)
sink       the output, whole or not at all
"""
