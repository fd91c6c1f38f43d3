"""The page of plots in a real browser, without a network."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.browser import QUIET, chromium
from tests.e2e.conftest import Workspace

pytestmark = pytest.mark.slow


def test_every_plot_is_drawn(ran: Workspace, tmp_path: Path) -> None:
    ran.run("python -m mlops.plots_page && dvc plots show")
    page = ran.folder / "dvc_plots" / "index.html"
    command = [
        chromium(),
        "--headless",
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
