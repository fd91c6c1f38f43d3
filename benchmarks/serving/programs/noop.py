"""`python noop.py SIGNATURE PORT`: a FastAPI route that reads and answers typed bodies and does nothing else.

The body has one field per column of the signature, the answer has the fields of /predict; uvicorn is set up as ours.
"""

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model

TYPES: dict[str, Any] = {"number": float, "boolean": bool, "category": str, "text": str, "date": str}

signature, port = sys.argv[1:]
fields: dict[str, Any] = {
    column["name"]: (TYPES[column["kind"]] | None if column["nullable"] else TYPES[column["kind"]], ...)
    for column in json.loads(Path(signature).read_text())["inputs"]
}
Record = create_model("Record", customer_id=(str | None, None), **fields)


class Prediction(BaseModel):
    """What /predict answers."""

    customer_id: str | None
    churn_probability: float
    prediction: bool
    confidence: float
    model: str
    version: str
    variant: str
    commit: str | None
    request_id: str


app = FastAPI()


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """It is."""
    return {"ready": True}


@app.post("/predict")
async def predict(record: Record) -> Prediction:  # type: ignore[valid-type]
    """The same for everybody."""
    return Prediction(
        customer_id=record.customer_id,  # type: ignore[attr-defined]
        churn_probability=0.25,
        prediction=True,
        confidence=0.25,
        model="churn",
        version="v1.0.0",
        variant="prod",
        commit=None,
        request_id="0",
    )


uvicorn.run(
    app, host="127.0.0.1", port=int(port), loop="uvloop", http="httptools", log_config=None, access_log=False,
    server_header=False, lifespan="on",
)  # fmt: skip
