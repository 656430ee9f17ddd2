"""Image parameters of a camera: Daybreak's kernels and ctapipe's functions on the same images.

``python -m benchmarks.images [--images 10000]``: CPU time of one thread, in turns, with a check
that parameters agree to 1e-6. Images are made (ellipses over noise) on a camera like LST's with
1855 pixels.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.tables import markdown, publish, stamp

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "images")]

from camera_images import ctapipe_geometry, lst_like, shower_images  # noqa: E402

from daybreak.images.extraction import ExtractionSettings, extract  # noqa: E402
from daybreak.images.parameters import CleaningSettings, image_parameters  # noqa: E402

ROUNDS = 5
PEER_IMAGES = 400


def cpu(function: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    begin = time.process_time()
    function()
    return time.process_time() - begin


def peer(geometry, images, times) -> list[tuple[float, ...]]:
    """ctapipe's functions, as its ImageProcessor calls them."""
    from ctapipe.image import (
        concentration_parameters,
        descriptive_statistics,
        hillas_parameters,
        leakage_parameters,
        morphology_parameters,
        tailcuts_clean,
        timing_parameters,
    )

    found = []
    for image, time_ns in zip(images, times, strict=True):
        mask = tailcuts_clean(geometry, image, 8, 4, min_number_picture_neighbors=2)
        if mask.sum() <= 2 or image[mask].sum() <= 50:
            found.append((np.nan, np.nan, np.nan))
            continue
        chosen, charge, peak = geometry[mask], image[mask], time_ns[mask]
        hillas = hillas_parameters(chosen, charge)
        timing_parameters(chosen, charge, peak, hillas)
        leakage_parameters(geometry, image, mask)
        concentration_parameters(chosen, charge, hillas)
        morphology_parameters(geometry, mask)
        descriptive_statistics(charge)
        descriptive_statistics(peak)
        found.append((hillas.intensity, hillas.length.value, hillas.width.value))
    return found


def rates(n: int) -> tuple[list[list[str]], dict[str, float]]:
    """Images per CPU second of each, and the ratios."""
    camera = lst_like()
    geometry = ctapipe_geometry(camera)
    images, times = shower_images(camera, n)
    some = slice(0, min(PEER_IMAGES, n))
    settings = {name: CleaningSettings(timing=name) for name in ("weighted", "trimmed")}
    theirs = np.array(peer(geometry, images[some], times[some]))
    for each in settings.values():
        found = image_parameters(images[some], times[some], camera, each)
        ours = found.table[:, [0, 7, 9]]
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)
    seconds: dict[str, list[float]] = {"ctapipe": [], "weighted": [], "trimmed": []}
    for _ in range(ROUNDS):
        seconds["ctapipe"].append(
            cpu(lambda: peer(geometry, images[some], times[some])) / len(images[some])
        )
        for name, each in settings.items():
            seconds[name].append(cpu(lambda e=each: image_parameters(images, times, camera, e)) / n)
    rate = {name: 1 / float(np.median(values)) for name, values in seconds.items()}
    labels = {
        "ctapipe": "ctapipe's functions",
        "trimmed": "Daybreak, timing as ctapipe defines it",
        "weighted": "Daybreak, weighted timing (default)",
    }
    rows = [
        [text, f"{rate[name]:,.0f}", f"{rate[name] / rate['ctapipe']:.0f}"]
        for name, text in labels.items()
    ]
    return rows, rate


def extraction(n: int = 200) -> tuple[list[list[str]], dict[str, float]]:
    """Events per CPU second of LocalPeakWindowSum, 1855 pixels of 40 samples."""
    from ctapipe.image.extractor import extract_around_peak

    camera = lst_like()
    rng = np.random.default_rng(2)
    waveforms = rng.normal(0, 1, (n, camera.n_pixels, 40)).astype(np.float32)
    settings = ExtractionSettings(correct=False)

    def theirs():
        return [extract_around_peak(w, w.argmax(axis=-1), 8, 4, 1.0) for w in waveforms]

    charge, _ = extract(waveforms, camera, settings)
    np.testing.assert_allclose(charge, [c for c, _ in theirs()], rtol=1e-5, atol=1e-5)
    pairs = [
        (cpu(theirs), cpu(lambda: extract(waveforms, camera, settings))) for _ in range(ROUNDS)
    ]
    a, b = (n / float(np.median(column)) for column in zip(*pairs, strict=True))
    return [["ctapipe", f"{a:,.0f}", "1"], ["Daybreak", f"{b:,.0f}", f"{b / a:.1f}"]], {
        "ctapipe": a,
        "daybreak": b,
    }


def main(args: list[str] | None = None) -> int:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    n = parser.parse_args(args).images
    rows, rate = rates(n)
    more, pulses = extraction()
    head = ["images to parameters", "per CPU second", "ratio"]
    second = ["local peak, 1855 x 40 samples", "events per CPU second", "ratio"]
    text = "\n".join([markdown(head, rows), "", markdown(second, more), "", stamp()])
    publish("images", text, {"images": n, "parameters": rate, "extraction": pulses})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
