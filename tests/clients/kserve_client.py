"""KServe's InferenceRESTClient, unmodified: reads {"url", "records"} from stdin, writes what it got to stdout."""

import asyncio
import json
import math
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

NUMPY = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}
given = json.load(sys.stdin)
url, records = given["url"], given["records"]


def tensors(inputs: list[dict], *, binary: bool) -> list[InferInput]:
    made = []
    for tensor in inputs:
        name, datatype = tensor["name"], tensor["datatype"]
        values = [record.get(name) for record in records]
        if not binary:  # JSON has null
            made.append(InferInput(name, [len(values)], datatype, data=values))
            continue
        missing = math.nan if datatype.startswith("FP") else ""
        array = np.array([[missing if value is None else value] for value in values], dtype=NUMPY[datatype])
        sent = InferInput(name, list(array.shape), datatype)
        sent.set_data_from_numpy(array, binary_data=True)
        made.append(sent)
    return made


async def second() -> dict:
    metadata = httpx.get(f"{url}/v2/models/churn").json()
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        found = {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model_ready": await client.is_model_ready(url, "churn"),
            "other_ready": await client.is_model_ready(url, "other"),
        }
        for binary in (False, True):
            request = InferRequest("churn", tensors(metadata["inputs"], binary=binary), request_id="42")
            answer = await client.infer(url, request, model_name="churn")
            columns = {output.name: output.as_numpy().tolist() for output in answer.outputs}
            found["binary" if binary else "json"] = {"id": answer.id, **columns}
        try:
            await client.infer(url, InferRequest("churn", tensors(metadata["inputs"][1:], binary=False)), "churn")
        except httpx.HTTPStatusError as error:
            found["refused"] = str(error)
        return found


async def first() -> dict:
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        found = {
            "live": await client.is_server_live(url),
            "model_ready": await client.is_model_ready(url, "churn"),
            "answer": await client.infer(url, {"instances": records}, model_name="churn"),
        }
        try:
            await client.infer(url, {"instances": [{}]}, model_name="churn")
        except httpx.HTTPStatusError as error:
            found["refused"] = str(error)
        return found


json.dump({"v2": asyncio.run(second()), "v1": asyncio.run(first())}, sys.stdout, default=str)
