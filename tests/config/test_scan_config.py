"""Settings of a scan from file, command and Python, and what is said of wrong ones."""

from __future__ import annotations

import pytest
from astropy import units as u

from daybreak.errors import ConfigError
from daybreak.neutrino.contours import WILKS
from daybreak.requests.scan.prepare import scan_settings
from daybreak.requests.scan.request import scan_options, scan_request


def _request(tmp_path, **values):
    return scan_request(tmp_path / "event.json", out=tmp_path / "out", **values)


def test_the_command_beats_the_file_and_this_the_default(tmp_path):
    file = tmp_path / "scan.yaml"
    file.write_text(
        "scan:\n  n_best: 20\n  max_pixels: 100\n"
        "  around: {ra: 10 deg, dec: -5 deg, radius: 120 arcmin}\n"
        "likelihood:\n  options: {sigma_ns: 5}\n"
    )
    request = _request(
        tmp_path, config=file, settings=["scan.max_pixels=200"], options=scan_options(nsides=[1, 4])
    )
    config = request.config()
    assert (config.scan.n_best, config.scan.max_pixels, config.scan.nsides) == (20, 200, (1, 4))
    assert config.likelihood.options == {"sigma_ns": 5} and config.scan.n_minima == 4
    found = scan_settings(config.scan, WILKS.ts_90)
    assert found.around is not None and found.around.radius_deg == pytest.approx(2.0)
    assert found.closure_delta_llh == 4.0 and found.n_best == 20


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["scan.n_bset=3"], "did you mean 'n_best'"),
        (["scan.nsides=[1,3]"], "3 is not a power of 2"),
        (["scan.nsides=[8,4]"], "nsides must grow"),
        (["scan.nsides=[128,256]"], "at most 64"),
        (["scan.around={ra: 10, dec: 5 deg, radius: 1 deg}"], "unit is missing"),
        (["contours=wilks2"], "contours"),
        (["engine.workers=-1"], "engine.workers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, settings, words):
    with pytest.raises(ConfigError, match=words):
        _request(tmp_path, settings=settings)


def test_where_fits_run_and_how_settings_are_spelled_makes_no_other_request(tmp_path):
    plain = _request(tmp_path)
    same = [
        _request(tmp_path, options=scan_options(engine="threads", workers=1)),
        _request(tmp_path, settings=["scan.n_best=12"]),
        _request(tmp_path, options=scan_options(contours="auto", likelihood="pandel-mpe")),
    ]
    assert {request.key for request in same} == {plain.key}
    assert _request(tmp_path, settings=["scan.n_best=13"]).key != plain.key


def test_a_circle_from_python():
    numbers = scan_options(around=(83.63, 22.01, 5))["scan"]["around"]
    assert numbers == {"ra": "83.63 deg", "dec": "22.01 deg", "radius": "5.0 deg"}
    quantities = scan_options(around=(1.2 * u.rad, 0.1 * u.rad, 30 * u.arcmin))["scan"]["around"]
    assert quantities["radius"] == "30.0 arcmin"


def test_options_of_a_likelihood_are_known():
    from daybreak.neutrino.likelihood import get_likelihood

    with pytest.raises(ConfigError, match="no option 'sigma'") as error:
        get_likelihood("pandel-mpe", sigma=3)
    assert "sigma_ns" in error.value.hint
