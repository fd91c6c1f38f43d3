"""The page that `dvc plots show` and `dvc plots diff` write, without a network: Vega stands in it.

DVC's own page fetches Vega from a content delivery network, and is blank where there is none. `make setup` runs this
once: it writes a page template with Vega inside and names it in .dvc/config.local.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import vl_convert

from mlops.errors import MlopsError, guarded

DVC = Path(".dvc")
TEMPLATE = Path("tmp/plots.html")  # below .dvc, as DVC reads it; Git ignores it

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  {{refresh_tag}}
  <title>Plots</title>
  <style>
    body {{ font-family: sans-serif; margin: 1.5em; display: flex; flex-wrap: wrap; gap: 2em; }}
    table {{ border-spacing: 15px; }}
  </style>
  <script>{vega}</script>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""


def template() -> str:
    """The page, with DVC's placeholders `{refresh_tag}` and `{plot_divs}` in it."""
    vega = vl_convert.javascript_bundle(snippet="window.vegaEmbed = vegaEmbed;")
    return PAGE.format(vega=vega.replace("</script", "<\\/script"))


def work() -> None:
    """Write the template and point DVC at it, for this clone only.

    Raises:
        MlopsError: this is no DVC repository.
    """
    if not DVC.is_dir():
        raise MlopsError(f"{DVC} is not in {Path.cwd()}; run this at the repository's root")
    target = DVC / TEMPLATE
    target.parent.mkdir(exist_ok=True)
    target.write_text(template(), encoding="utf-8")
    command = ["config", "--quiet", "--local", "plots.html_template", TEMPLATE.as_posix()]
    done = subprocess.run([sys.executable, "-m", "dvc", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MlopsError(f"`dvc {' '.join(command)}` failed: {done.stderr}")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
