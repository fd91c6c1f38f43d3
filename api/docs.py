"""/docs and /openapi.json, by FastAPI, built when somebody first asks.

Importing it costs a start-up a third of its time and the process 19 MB, and no client that predicts ever asks.
"""

from __future__ import annotations

import swagger_ui_bundle
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from api.openapi import openapi
from api.service import Service

ASSETS = "/docs/assets"


def application(service: Service) -> FastAPI:
    """The application behind the door: Swagger UI from our own files, so it works without the internet."""
    app = FastAPI(title="Churn predictions", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/openapi.json", include_in_schema=False)
    async def schema() -> JSONResponse:
        return JSONResponse(openapi(service))

    @app.get("/docs", include_in_schema=False)
    async def page() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Churn predictions",
            swagger_js_url=f".{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f".{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f".{ASSETS}/favicon-32x32.png",
            swagger_ui_parameters={"tryItOutEnabled": True, "displayRequestDuration": True},
        )

    app.mount(ASSETS, StaticFiles(directory=str(swagger_ui_bundle.swagger_ui_path)))
    return app
