"""Score a record with the files of a served model alone: `python score.py models/serving < record.json`."""

import json
import sys
from datetime import date
from math import exp, floor, log, nan
from pathlib import Path

import numpy as np
import onnxruntime


def sentiment(text):
    """VADER's compound score of a comment."""
    from vader import SentimentIntensityAnalyzer  # pip install nltk-vader-sentiment; only where there are comments

    return SentimentIntensityAnalyzer().polarity_scores(text)["compound"]


def day(days):
    """The date of a day number."""
    return date.fromordinal(floor(days) + 719163)


OPS = {"value": lambda x: x, "ratio": lambda a, b: a / b if b else nan, "difference": lambda a, b: a - b,
       "product": lambda a, b: a * b, "days": lambda a, b: a - b, "month": lambda d: day(d).month,
       "weekday": lambda d: day(d).weekday(), "length": len, "words": lambda t: len(t.split()),
       "sentiment": sentiment}  # fmt: skip


def encoded(folder, record):
    """The row of the matrix that model.onnx reads."""
    plan, row, columns = json.loads((folder / "encoder.json").read_text(encoding="utf-8")), dict(record), []
    for i in plan["inputs"]:
        if i["kind"] == "date" and row[i["name"]] is not None:
            row[i["name"]] = date.fromisoformat(row[i["name"]]).toordinal() - 719163
    features = {f["name"]: f for f in plan["features"]}
    for block in plan["blocks"]:
        inputs = [row[name] for name in features[block["feature"]]["inputs"]]
        value = None if None in inputs else OPS[features[block["feature"]]["op"]](*inputs)
        if block["kind"] == "number":
            columns.append(nan if value is None else float(value))
        elif block["kind"] == "one_hot":
            names = [*block["levels"], "rare", None]
            columns += [float(n == value) for n in names] if value is None or value in block["levels"] else \
                [0.0] * len(block["levels"]) + [1.0, 0.0]  # fmt: skip
        else:
            rates = dict(zip(block["levels"], block["rates"], strict=True))
            columns.append(block["missing"] if value is None else rates.get(value, block["other"]))
    return np.array([columns], dtype=np.float32)


def score(folder, record):
    """The probability of one record, values as JSON gives them."""
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    raw = session.run(None, {"x": encoded(folder, record)})[0].item()
    calibrator = json.loads((folder / "calibrator.json").read_text())
    if calibrator["score"] == "probability":
        raw = min(max(raw, 1e-7), 1 - 1e-7)
        raw = log(raw / (1 - raw))
    return 1 / (1 + exp(-(calibrator["slope"] * raw + calibrator["intercept"])))


if __name__ == "__main__":
    print(round(score(Path(sys.argv[1]), json.load(sys.stdin)), 6))
