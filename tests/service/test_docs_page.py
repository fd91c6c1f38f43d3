"""/docs in a real browser, without a network: "Try it out" sends the example and gets a 200."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser import QUIET, chromium
from tests.service.server import Server

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("operation", ["predict", "explain", "feedback"])
def test_try_it_out_sends_an_example_that_is_taken(service: Server, operation: str) -> None:
    with sync_playwright() as play:
        page = play.chromium.launch(executable_path=chromium(), args=QUIET).new_page()
        page.goto(f"{service.url}/docs")
        block = page.locator(f"#operations-default-{operation}")
        block.locator(".opblock-summary").click()
        block.get_by_role("button", name="Execute").click()
        expect(block.locator(".live-responses-table .response-col_status").last).to_have_text("200", timeout=20_000)
        if operation == "predict":
            expect(block.locator(".live-responses-table")).to_contain_text("churn_probability")
        if shot := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{shot}/docs-{operation}.png", full_page=True)
