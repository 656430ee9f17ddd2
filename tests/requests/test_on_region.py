"""ON radius and kind of a source: as it is known, as it is asked for, and as its runs want it."""

from __future__ import annotations

import numpy as np
import pytest

from daybreak.config.analysis import AnalysisConfig
from daybreak.requests.analysis.setup import on_region
from daybreak.runs.targets import Target, find_known, known_source_of


def _target(name: str) -> Target:
    source = find_known(name)
    return Target(source.name, source.ra_deg, source.dec_deg, "table")


def _region(name, **regions):
    return on_region(AnalysisConfig.model_validate({"regions": regions}), _target(name))


@pytest.mark.parametrize(
    ("name", "factor"), [("MSH 15-52", 2), ("RX J1713.7-3946", 1), ("HESS J1825-137", 2)]
)
def test_a_source_that_is_known_to_be_extended(name, factor):
    """The rule: factor times size, in quadrature with the radius of a point source."""
    region, source = _region(name), find_known(name)
    wanted = np.hypot(factor * source.radius_deg, 0.1)
    assert region.extended and region.radius_deg == pytest.approx(wanted, abs=0.006)
    assert source.name in region.why and "regions.source: point" in region.why


def test_what_is_asked_for_wins():
    point = _region("MSH 15-52", source="point")
    assert (point.radius_deg, point.extended, point.why) == (0.1, False, "")
    own = _region("MSH 15-52", on_radius="0.3 deg")
    assert (own.radius_deg, own.extended, own.why) == (0.3, True, "")
    assert _region("Crab", source="extended").extended
    assert not _region("Crab", on_radius="0.15 deg").extended
    assert _region("Crab", on_radius="0.25 deg").extended


def test_points_are_points():
    for name in ("Crab", "PKS 2155-304"):
        region = _region(name)
        assert (region.radius_deg, region.extended, region.why) == (0.1, False, "")


def test_a_source_is_known_by_its_place_too():
    source = find_known("MSH 15-52")
    here = Target("228.50 -59.16", source.ra_deg + 0.001, source.dec_deg, "coordinates")
    assert known_source_of(here) == source
    assert known_source_of(Target("x", source.ra_deg, source.dec_deg + 0.5, "coordinates")) is None
    assert known_source_of(Target("off", np.nan, np.nan, "tag", "offdata", True)) is None
