"""Small parts of what a scan writes."""

from __future__ import annotations

from daybreak.requests.scan.context import _each_once


def _fit(name, zenith_deg, azimuth_deg):
    return {"name": name, "zenith_deg": zenith_deg, "azimuth_deg": azimuth_deg}


def test_a_fit_that_message_and_frame_hold_is_listed_once():
    fits = [
        _fit("splinempe", 130.60344, 21.50482),
        _fit("OnlineL2_SplineMPE", 130.60371, 21.50471),
        _fit("onlineL2_bestfit", 131.87082, 16.47884),
        _fit("OnlineL2_BestFit", 131.87068, 16.47870),
        _fit("spefit2", 130.25279, 25.18723),
        _fit("SPEFit2", 130.9, 25.2),  # another direction: another fit
    ]
    names = {block["name"] for block in _each_once(fits)}
    assert names == {"OnlineL2_SplineMPE", "OnlineL2_BestFit", "spefit2", "SPEFit2"}
