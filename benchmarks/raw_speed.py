"""Speed of reading SST-1M's raw data and of its charges: ``python -m benchmarks.raw_speed DATA``.

DATA is the folder with sst1mpipe's calibration files. The file is one of the real ones inside the
protozfits wheel. Rounds of protozfits' own loop and ours are interleaved; medians are printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    import protozfits
    from astropy.time import Time

    from daybreak.instruments.sst1m.calibration import load_calibration
    from daybreak.instruments.sst1m.charges import extract_charges
    from daybreak.instruments.sst1m.geometry import load_layout
    from daybreak.instruments.sst1m.raw import open_raw

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--file", default="example_100evts.fits.fz")
    options = parser.parse_args(arguments)
    path = Path(protozfits.__file__).parent / "tests" / "resources" / options.file
    raw = open_raw(path)
    chunk = next(raw.chunks())
    calibration = load_calibration(options.data, raw.telescope, Time("2018-08-22"))
    camera = load_layout(options.data / "sst1m_array.h5")[calibration.telescope].camera
    variance = np.full(len(chunk), 60.0)

    def theirs() -> int:
        with protozfits.File(str(path)) as file:
            return sum(1 for _ in file.Events)

    def ours() -> int:
        return sum(len(part) for part in raw.chunks())

    def charges() -> int:
        extract_charges(
            chunk.waveforms, chunk.baselines, calibration, camera, variance_adc2=variance
        )
        return len(chunk)

    jobs: dict[str, Callable[[], int]] = {
        "protozfits, loop over events": theirs,
        "daybreak, chunks of arrays": ours,
        "daybreak, charges and peak times": charges,
    }
    rates: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(options.rounds):
        for name, job in jobs.items():
            begin = time.perf_counter()
            count = job()
            rates[name].append(count / (time.perf_counter() - begin))
    for name, found in rates.items():
        middle = statistics.median(found)
        print(f"{name:34s} {middle:8.0f} events/s ({min(found):.0f} to {max(found):.0f})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
