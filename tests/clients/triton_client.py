"""tritonclient[http], unmodified: reads {"port", "records"} from stdin, writes what it got to stdout."""

import json
import math
import sys

import numpy as np
from tritonclient import http
from tritonclient.utils import InferenceServerException

NUMPY = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}
given = json.load(sys.stdin)
client = http.InferenceServerClient(f"127.0.0.1:{given['port']}")
metadata = client.get_model_metadata("churn")


def column(name: str, datatype: str) -> np.ndarray:
    missing = math.nan if datatype.startswith("FP") else ""
    values = [record.get(name) for record in given["records"]]
    return np.array([[missing if value is None else value] for value in values], dtype=NUMPY[datatype])


def inputs(*, binary: bool) -> list[http.InferInput]:
    described = [*metadata["inputs"], {"name": "customer_id", "datatype": "BYTES"}]
    made = []
    for tensor in described:
        values = column(tensor["name"], tensor["datatype"])
        sent = http.InferInput(tensor["name"], list(values.shape), tensor["datatype"])
        made.append(sent.set_data_from_numpy(values, binary_data=binary))
    return made


def read(result: http.InferResult) -> dict[str, list]:
    outputs = ("churn_probability", "prediction", "variant", "version")
    columns = {name: result.as_numpy(name).tolist() for name in outputs}
    return {n: [v.decode() if isinstance(v, bytes) else v for v in values] for n, values in columns.items()}


outputs = [http.InferRequestedOutput(o["name"], binary_data=False) for o in metadata["outputs"]]
json_only = client.infer("churn", inputs(binary=False), outputs=outputs, request_id="json-1")
binary = client.infer("churn", inputs(binary=True))
found = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready("churn"),
    "other_ready": client.is_model_ready("other"),
    "version_ready": client.is_model_ready("churn", metadata["versions"][0]),
    "server": client.get_server_metadata(),
    "metadata": metadata,
    "json": read(json_only),
    "json_answer": json_only.get_response(),
    "binary": read(binary),
    "binary_answer": binary.get_response(),
    "one_output": client.infer(
        "churn", inputs(binary=True), outputs=[http.InferRequestedOutput("prediction", binary_data=True)]
    ).get_response(),
    "asynchronous": read(client.async_infer("churn", inputs(binary=True)).get_result()),
    "version": read(client.infer("churn", inputs(binary=True), model_version=metadata["versions"][0])),
}
for coding in ("gzip", "deflate"):
    found[coding] = read(
        client.infer(
            "churn",
            inputs(binary=True),
            request_compression_algorithm=coding,
            response_compression_algorithm=coding,
        )
    )
found["refused"] = {}
for name, call in {
    "model": lambda: client.infer("other", inputs(binary=True)),
    "version": lambda: client.infer("churn", inputs(binary=True), model_version="v9.9.9"),
    "column": lambda: client.infer("churn", inputs(binary=True)[1:]),
    "shape": lambda: client.infer("churn", [i.set_shape([9, 1]) for i in inputs(binary=True)]),
    "output": lambda: client.infer("churn", inputs(binary=True), outputs=[http.InferRequestedOutput("p")]),
}.items():
    try:
        call()
    except InferenceServerException as error:
        found["refused"][name] = [error.status(), error.message()]
client.close()
json.dump(found, sys.stdout)
