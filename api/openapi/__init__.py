"""The schema behind /docs, made from the signature of the model that serves."""

from api.openapi.document import openapi

__all__ = ["openapi"]
