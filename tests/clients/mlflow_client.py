"""MLflow's ScoringServerClient, unmodified: reads {"port", "records"} from stdin, writes what it got to stdout."""

import json
import sys

import pandas as pd
from mlflow.pyfunc.scoring_server import client
from mlflow.version import VERSION

given = json.load(sys.stdin)
server = client.ScoringServerClient("127.0.0.1", given["port"])
server.wait_server_ready(timeout=10)
frame = pd.DataFrame(given["records"])
dated = frame.assign(since=pd.to_datetime(frame["since"]))  # a missing one is sent as "NaT"
found = {
    "client": VERSION,
    "version": server.get_version(),
    "frame": server.invoke(frame).get_predictions().to_dict("records"),
    "dated": server.invoke(dated).get_predictions().to_dict("records"),
    "records": server.invoke(given["records"])["predictions"],
    "probabilities": server.invoke(frame, params={"output": "probability"}).get_predictions("ndarray").tolist(),
}
try:
    server.invoke(frame.drop(columns="sessions"))
except Exception as error:
    found["refused"] = str(error)
json.dump(found, sys.stdout)
