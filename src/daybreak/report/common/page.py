"""What every page has: its template with the common style, and figures put into it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from daybreak.errors import ProductError

_PROLOGUE = re.compile(r"<\?xml.*?\?>\s*", re.S)
_XMLNS = re.compile(r'\sxmlns(:\w+)?="[^"]*"')
_SVG_STYLE = re.compile(r"<style>.*?</style>", re.S)
_UNSAFE = re.compile(r"<script|<foreignObject|\son\w+\s*=", re.I)


def render_template(package: str, name: str, page: Mapping[str, Any]) -> str:
    """A page from a template of a report's package, with the common style.

    Parameters
    ----------
    package
        The package whose ``templates/`` holds it.
    name
        The file.
    page
        What the template needs.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(__package__)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files(__package__).joinpath("templates/style.css").read_text("utf-8")
    template = environment.get_template(name)
    return template.render(style=Markup(style), **page)  # noqa: S704 - our file


def inline_figures(
    titles: Mapping[str, str], said: Mapping[str, str], folder: Path
) -> dict[str, dict[str, Any]]:
    """Figures of `folder` that are there, by name: content, title and caption.

    Parameters
    ----------
    titles
        Title by name of the figure.
    said
        Caption by name.
    folder
        Folder of the figures, SVG or PNG.
    """
    readers: dict[str, Callable[[Path, str], Markup]] = {"svg": _inline_svg, "png": _inline_png}
    found = {}
    for name, title in titles.items():
        for suffix, read in readers.items():
            path = Path(folder) / f"{name}.{suffix}"
            if path.is_file():
                found[name] = {
                    "content": read(path, title),
                    "title": title,
                    "caption": said.get(name, ""),
                }
                break
    return found


def _inline_svg(path: Path, title: str) -> Markup:
    text = path.read_text(encoding="utf-8")
    for pattern in (_PROLOGUE, _XMLNS, _SVG_STYLE):
        text = pattern.sub("", text)
    text = text.replace("xlink:href=", "href=")
    if not text.startswith("<svg") or _UNSAFE.search(text):
        raise ProductError(
            f"{path} is not a figure of Daybreak", "Draw it again with `daybreak figures`."
        )
    return Markup(text)  # noqa: S704 - drawn by us, checked above


def _inline_png(path: Path, title: str) -> Markup:
    data = base64.b64encode(path.read_bytes()).decode()
    return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(title, data)
