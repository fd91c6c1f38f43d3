"""Protocols that clients already speak: MLflow's scoring protocol, the Open Inference Protocol, KServe's first."""

from api.protocols import kserve, mlflow, open_inference

ROUTES = (*mlflow.ROUTES, *open_inference.ROUTES, *kserve.ROUTES)

__all__ = ["ROUTES"]
