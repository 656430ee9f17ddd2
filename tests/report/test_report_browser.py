"""The page in a real browser: nothing is wider than a phone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--allow-file-access-from-files", "--virtual-time-budget=4000",
)  # fmt: skip
# A frame has the width that it is given, while the window of a headless browser has a least width.
WRAPPER = """<!DOCTYPE html><body><iframe id="f" src="report.html"
style="width:390px;height:800px;border:0"></iframe><pre id="out">not run</pre><script>
document.getElementById("f").onload = (event) => {
  const win = event.target.contentWindow, page = win.document;
  page.querySelectorAll("details").forEach((d) => { d.open = true; });
  const wide = [...page.querySelectorAll("body *")].filter((e) =>
    !e.closest(".scroll > *") && !e.closest("svg *") && e.getBoundingClientRect().right > 391);
  document.getElementById("out").textContent = JSON.stringify({
    inner: win.innerWidth, scroll: page.scrollingElement.scrollWidth,
    wide: wide.slice(0, 5).map((e) => e.tagName + "." + e.className),
    figures: [...page.querySelectorAll("figure svg")].map((e) => e.getBoundingClientRect().width),
  });
};
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("variant", ["crab", "flare", "hostile", "no_detection"])
def test_nothing_overflows_on_a_phone(variant, make, tmp_path):
    shutil.copy(make(variant).page, tmp_path / "report.html")
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(WRAPPER, encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [CHROMIUM, *FLAGS, profile, "--dump-dom", wrapper.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=90).stdout
    found = re.search(r'<pre id="out">(\{.*?\})</pre>', dom, re.S)
    assert found, dom[-500:]
    measured = json.loads(found[1])
    assert measured["inner"] == 390
    assert measured["scroll"] <= measured["inner"], measured
    assert measured["wide"] == []
    assert min(measured["figures"]) > 300
