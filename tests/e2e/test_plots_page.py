"""The page of plots in a real browser, without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Workspace

pytestmark = pytest.mark.slow
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever the page asked the network for would fail
]  # fmt: skip


@pytest.fixture
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        message = "no Chromium here; Debian: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return found


def test_every_plot_is_drawn(ran: Workspace, browser: str, tmp_path: Path) -> None:
    ran.run("python -m mlops.plots_page && dvc plots show")
    page = ran.folder / "dvc_plots" / "index.html"
    command = [
        browser,
        *QUIET,
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=15000",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    drawn = done.stdout.rsplit("<body>", 1)[1]  # Vega itself speaks of a body as well
    for name in ("ROC", "precision-recall", "calibration", "gain", "decisions", "importance", "learning-curve"):
        frame = drawn.split(f'id="{name}"')[1].split("<script")[0]
        assert "<canvas" in frame or "<svg" in frame, f"{name} is not drawn"
