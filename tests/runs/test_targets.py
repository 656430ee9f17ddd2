"""Whatever is typed becomes the right place on the sky or a TargetError, never 0, 0."""

from __future__ import annotations

import http.client
import socket
import urllib.error
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.coordinates.name_resolve import NameResolveError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daybreak.errors import TargetError
from daybreak.runs.catalogue import Catalogue, RunEntry, read_catalogue
from daybreak.runs.targets import find_known, known_sources, parse_coordinates, resolve_target

CRAB = SkyCoord(83.6331, 22.0145, unit="deg")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise NameResolveError("no network in tests")

    monkeypatch.setattr(SkyCoord, "from_name", refuse)


def _run(obs_id: int, ra: float, dec: float, **values) -> RunEntry:
    nan = float("nan")
    entry = RunEntry(
        obs_id, ra, dec, nan, nan, nan, None, None, "", "", "tag", nan, nan, nan, hdus={}
    )
    return replace(entry, **values)


def _catalogue(*runs: RunEntry) -> Catalogue:
    return Catalogue(Path("store"), runs, ())


@pytest.mark.parametrize(
    "text",
    [
        "83.6331 22.0145",
        "83.6331, 22.0145",
        "83.6331,22.0145",
        "83.6331;22.0145",
        " 83.6331   +22.0145 ",
        "83.6331d +22.0145d",
        "83.6331deg 22.0145deg",
        "83.6331° 22.0145°",
        "-276.3669 22.0145",
        "05:34:31.94 +22:00:52.2",
        "05:34:31.94,+22:00:52.2",
        "05 34 31.94 +22 00 52.2",
        "05 34 31.94 22 00 52.2",
        "5h34m31.94s +22d00m52.2s",
        "05h34m31.94s+22d00m52.2s",
        "5h 34m 31.94s +22d 0m 52.2s",
        "galactic 184.5575 -5.7844",
        "gal 184.5575,-5.7844",
        "Galactic: 184.5575 −5.7844",
        "l b 184.5575 -5.7844",
        "l,b=184.5575,-5.7844",
    ],
)
def test_coordinates_in_every_spelling(text):
    target = resolve_target(text)
    assert target.position.separation(CRAB) < 1 * u.arcsec
    assert target.resolved_by == "coordinates"
    assert "83.633" in target.name and "+22.01" in target.name


@pytest.mark.parametrize(
    ("text", "dec"),
    [
        ("12:00:00 -00:00:30", -30 / 3600),
        ("12:00:00 -0:30:00", -0.5),
        ("12h00m00s -0d30m00s", -0.5),
        ("12 00 00 -00 30 00", -0.5),
        ("180 -0.5", -0.5),
        ("180 −0.5", -0.5),
    ],
)
def test_a_minus_before_zero_counts(text, dec):
    target = resolve_target(text)
    assert (target.ra_deg, target.dec_deg) == pytest.approx((180, dec), abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "400 22",
        "83 95",
        "83 -90.1",
        "galactic 500 3",
        "25:00:00 +22:00:00",
        "05:34:32 +99:00:00",
        "05:34:32",
        "1 2 3",
        "99999999999999999999 1",
    ],
)
def test_coordinates_off_the_sphere(text):
    with pytest.raises(TargetError, match="looks like coordinates but can't be read") as caught:
        resolve_target(text)
    assert "83.633 22.014" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["Crab", "CRAB", "crab nebula", "Crab-Nebula", "crab_nebula", "M1", "m 1"],
)
def test_the_crab_by_any_name(name):
    target = resolve_target(name)
    assert target.name == "Crab" and target.resolved_by == "built-in table"
    assert target.position.separation(CRAB) < 3 * u.arcsec


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (("PKS 2155-304", "pks2155-304", "PKS 2155−304", "PKS_2155_304"), "PKS 2155-304"),
        (("Mrk 421", "mrk421", "Mkn 421", "Markarian 421"), "Mrk 421"),
        (("Sgr A*", "Galactic Center", "galactic centre"), "Galactic Centre"),
        (("RX J1713.7-3946", "rxj1713.7-3946"), "RX J1713.7-3946"),
    ],
)
def test_spellings_of_other_names(texts, name):
    for text in texts:
        assert resolve_target(text).name == name


def test_every_known_source_is_found_by_every_name():
    for source in known_sources():
        for name in (source.name, *source.aliases):
            for text in (name, name.upper(), name.lower(), name.replace(" ", "")):
                assert resolve_target(text).name == source.name, text
        assert 0 <= source.ra_deg < 360 and -90 <= source.dec_deg <= 90 and source.radius_deg >= 0
        assert (source.ra_deg, source.dec_deg) != (0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n",
        "a\0b",
        "Crab\n83 22",
        "x" * 201,
        "'; DROP TABLE sources; --",
        "../../etc/passwd",
        "$(reboot)",
        "<script>alert(1)</script>",
        "nan nan",
        "inf 0",
        "83.63",
        "None",
        "0",
        "*",
        "Crabb Nebul",
        "ra=83.6 dec=22",
        "\u202ecrab",
    ],
)
def test_what_nothing_knows_is_an_error(text):
    with pytest.raises(TargetError) as caught:
        resolve_target(text)
    assert caught.value.hint and caught.value.exit_code == 4


def test_the_error_helps():
    catalogue = _catalogue(_run(1, 83.6, 22.5, tag="crab"), _run(2, 10, 10, tag="offdata"))
    with pytest.raises(TargetError, match="unknown target 'PKS 2155-305'") as caught:
        resolve_target("PKS 2155-305", catalogue)
    assert "Did you mean 'PKS 2155-304'" in caught.value.hint
    assert "Tags of this store: crab, offdata" in caught.value.hint
    with pytest.raises(TargetError) as caught:
        resolve_target("offdat", catalogue)
    assert "'offdata'" in caught.value.hint


_typed = st.text(alphabet="0123456789:;,.hmsd°'\" +-−eEglb=\t", max_size=30)


@given(st.one_of(st.text(max_size=40), _typed))
@example("5h34m99s +22d")
@example("5:60 22")
@example("1h1h1h 1")
@example("12 3 4h")
@settings(max_examples=300)
def test_any_text_is_a_place_or_a_target_error(text):
    try:
        target = resolve_target(text, online=False)
    except TargetError as error:
        assert error.what
        return
    assert np.isfinite([target.ra_deg, target.dec_deg]).all()
    if (target.ra_deg, target.dec_deg) == (0, 0):
        assert "0" in text


@given(st.floats(0, 359.9999), st.floats(-89.9, 89.9))
def test_coordinates_come_back(ra, dec):
    place = SkyCoord(ra, dec, unit="deg")
    for text in (
        f"{ra:.6f} {dec:+.6f}",
        place.to_string("hmsdms"),
        place.to_string("hmsdms", sep=":"),
        place.to_string("hmsdms", sep=" "),
        f"galactic {place.galactic.l.deg:.7f} {place.galactic.b.deg:.7f}",
    ):
        found = parse_coordinates(text)
        assert found is not None and found.separation(place) < 0.1 * u.arcsec, text


@pytest.mark.parametrize(
    "error",
    [
        NameResolveError("nothing found"),
        urllib.error.URLError("no network"),
        TimeoutError(),
        socket.gaierror(-2, "Name or service not known"),
        ConnectionResetError(),
        http.client.IncompleteRead(b""),
        http.client.BadStatusLine("x"),
        ValueError("odd answer"),
    ],
)
def test_a_failing_name_service_is_a_target_error(monkeypatch, error):
    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(SkyCoord, "from_name", fail)
    with pytest.raises(TargetError, match="CDS Sesame gave no answer"):
        resolve_target("Nowhere Nebula")


def test_the_name_service_answers(monkeypatch):
    asked = []

    def answer(name, *_args, **_kwargs):
        asked.append(name)
        return SkyCoord(10.0, -5.0, unit="deg")

    monkeypatch.setattr(SkyCoord, "from_name", answer)
    target = resolve_target("Nowhere Nebula")
    assert (target.ra_deg, target.dec_deg, target.resolved_by) == (10.0, -5.0, "CDS Sesame")
    resolve_target("Crab")
    resolve_target("83 22")
    assert asked == ["Nowhere Nebula"]
    with pytest.raises(TargetError):
        resolve_target("Nowhere Nebula", online=False)


def _around(target: SkyCoord, *pointings: SkyCoord, **values) -> Catalogue:
    runs = [
        _run(
            number,
            float(p.ra.deg),
            float(p.dec.deg),
            target_offset_deg=float(p.separation(target).deg),
            **values,
        )
        for number, p in enumerate(pointings, 1)
    ]
    return _catalogue(*runs)


def _wobble(target: SkyCoord, *angles: float, offset: float = 0.5) -> list[SkyCoord]:
    return [target.directional_offset_by(a * u.deg, offset * u.deg) for a in angles]


@pytest.mark.parametrize("place", [(83.6, 22.0), (0.001, -59.0), (359.999, 5.0), (228.5, -80.0)])
def test_a_tags_place_follows_from_its_offsets(place):
    truth = SkyCoord(*place, unit="deg")
    catalogue = _around(truth, *_wobble(truth, 0, 180, 90, 270))
    target = resolve_target("TAG", catalogue)
    assert target.position.separation(truth) < 0.1 * u.arcsec
    assert target.tag == "tag" and not target.blank_fields
    assert "TARGET_OFFSET" in target.resolved_by


def test_of_a_mirrored_pair_the_known_one_is_taken():
    """Two pointings on one side: the target and its mirror image fit equally well."""
    truth = SkyCoord(
        find_known("PKS 2155-304").ra_deg, find_known("PKS 2155-304").dec_deg, unit="deg"
    )
    pointings = _wobble(truth, 20, 70, offset=0.7)
    target = resolve_target("tag", _around(truth, *pointings, target_name="PKS 2155-304"))
    assert target.position.separation(truth) < 0.1 * u.arcsec and target.name == "PKS 2155-304"
    near = {"ra_obj_deg": float(truth.ra.deg) + 0.01, "dec_obj_deg": float(truth.dec.deg)}
    target = resolve_target("tag", _around(truth, *pointings, **near))
    assert target.position.separation(truth) < 0.1 * u.arcsec
    target = resolve_target("tag", _around(truth, *pointings))
    assert target.blank_fields and np.isnan(target.ra_deg), "a guess between two places"


def test_a_single_pointing_tells_no_place():
    truth = SkyCoord(100, 10, unit="deg")
    assert resolve_target("tag", _around(truth, *_wobble(truth, 0))).blank_fields
    target = resolve_target("tag", _around(truth, *_wobble(truth, 0), target_name="Crab"))
    assert target.name == "Crab" and target.position.separation(CRAB) < 3 * u.arcsec


def test_contradicting_or_missing_offsets_are_blank_fields():
    truth = SkyCoord(100, 10, unit="deg")
    runs = list(_around(truth, *_wobble(truth, 0, 120, 240)).runs)
    wrong = [replace(runs[0], target_offset_deg=1.1), *runs[1:]]
    assert resolve_target("tag", _catalogue(*wrong)).blank_fields
    masked = [replace(r, target_offset_deg=float("nan")) for r in runs]
    assert resolve_target("tag", _catalogue(*masked)).blank_fields
    far = [_run(1, 10, -40, target_offset_deg=0.5), _run(2, 200, 60, target_offset_deg=0.5)]
    assert resolve_target("tag", _catalogue(*far)).blank_fields
    unknown = [replace(r, ra_pnt_deg=float("nan")) for r in runs]
    assert resolve_target("tag", _catalogue(*unknown)).blank_fields


@given(
    st.floats(0, 360),
    st.floats(-80, 80),
    st.integers(3, 6),
    st.lists(st.floats(-15, 15), min_size=6, max_size=6),
    st.floats(0.3, 2.0),
)
@settings(max_examples=25)
def test_triangulation_anywhere(ra, dec, n, jitter, offset):
    truth = SkyCoord(ra, dec, unit="deg")
    angles = np.arange(n) * 360 / n + jitter[:n]
    target = resolve_target("tag", _around(truth, *_wobble(truth, *angles, offset=offset)))
    assert target.position.separation(truth) < 1 * u.arcsec


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("tag", "ra", "dec", "name"),
    [
        ("crab", 83.63308, 22.01449, "Crab"),
        ("msh1552", 228.52916, -59.15750, "MSH 15-52"),
        ("pks2155_flare", 329.71694, -30.22559, "PKS 2155-304 (flare)"),
        ("pks2155_steady", 329.71694, -30.22559, "PKS 2155-304 (steady)"),
        ("rxj1713", 258.35500, -39.77100, "RX J1713.7-3946"),
    ],
)
def test_the_tags_of_the_hess_store(hess_store, tag, ra, dec, name):
    target = resolve_target(tag, read_catalogue(hess_store))
    assert target.name == name and target.tag == tag
    assert target.position.separation(SkyCoord(ra, dec, unit="deg")) < 0.2 * u.arcsec


@pytest.mark.realdata
def test_the_blank_fields_of_the_hess_store(hess_store):
    target = resolve_target("offdata", read_catalogue(hess_store))
    assert target.blank_fields and np.isnan(target.ra_deg)
