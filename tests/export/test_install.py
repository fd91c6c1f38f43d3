"""deploy/trackers/install: into the folder that it is told, wherever that is, and into no other environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.server import ROOT

UV = """#!/bin/sh
if [ "$1" = venv ]; then
  for folder; do :; done
  mkdir -p "$folder/bin" && ln -s "{python}" "$folder/bin/python"
else
  printf '%s\\n' "$*" >> "{log}"
fi
"""


@pytest.mark.parametrize("absolute", [True, False])
def test_it_installs_into_the_folder_that_it_is_told(tmp_path: Path, absolute: bool) -> None:
    programs, log = tmp_path / "bin", tmp_path / "log"
    programs.mkdir()
    (programs / "uv").write_text(UV.format(python=sys.executable, log=log))
    (programs / "uv").chmod(0o755)
    lock = tmp_path / "lock.txt"
    lock.write_text("tiny==1\n")
    target = tmp_path / "target"
    command = [ROOT / "deploy" / "trackers" / "install", target if absolute else "target", lock]
    env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    for _ in range(2):
        subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    (asked,) = log.read_text().splitlines()
    words = asked.split()
    assert (tmp_path / words[words.index("--python") + 1]) == target / "bin" / "python"
    assert (target / "installed").read_text() == lock.read_text()
