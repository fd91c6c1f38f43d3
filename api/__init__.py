"""The service: the promoted model behind an API. `uvicorn api.main:app` or `python -m api`."""
