"""Make the picture of the README from a report: ``python docs/picture.py REPORT``.

Needs Chromium. The picture is the top of the page at a width of 1200 pixels.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1200, 1830
PICTURE = Path(__file__).parent / "_static" / "report.png"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


def main(report: Path) -> None:
    """Photograph the page and write the picture with 256 colours."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        sys.exit("no Chromium on this machine")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        size = f"--window-size={WIDTH},{HEIGHT + 200}"
        place = (f"--user-data-dir={folder}/profile", size, f"--screenshot={shot}")
        command = [browser, *FLAGS, *place, report.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        with Image.open(shot) as image:
            top = image.convert("RGB").crop((0, 0, WIDTH, HEIGHT))
    top.quantize(256, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
