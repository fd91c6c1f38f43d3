"""`python mlflow_model.py PIPELINE TABLE FOLDER`: the scikit-learn pipeline as an MLflow model with its signature."""

import sys

import joblib
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature

pipeline_file, table, folder = sys.argv[1:]
pipeline = joblib.load(pipeline_file)
inputs = [column["name"] for column in pipeline[0].document["inputs"]]
frame = pd.read_parquet(table)[inputs]
mlflow.sklearn.save_model(
    pipeline,
    folder,
    serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
    signature=infer_signature(frame, pipeline.predict_proba(frame.iloc[:10])),
    pyfunc_predict_fn="predict_proba",
)
