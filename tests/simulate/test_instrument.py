"""The response tables: sizes, units, normalisations, and the directional cut folded in."""

import numpy as np
import pytest
from astropy import units as u

from daybreak.simulate import VirtualInstrument
from daybreak.simulate.instrument import full_enclosure_irfs, point_like_irfs

INSTRUMENT = VirtualInstrument()


def test_parameters_are_hashable_and_carry_units():
    assert hash(INSTRUMENT) == hash(VirtualInstrument())
    assert INSTRUMENT.parameters()["energy_threshold"] == "0.15 TeV"
    assert full_enclosure_irfs(INSTRUMENT) is full_enclosure_irfs(VirtualInstrument())


def test_effective_area_is_that_of_a_cherenkov_array():
    aeff = full_enclosure_irfs(INSTRUMENT)["aeff"]
    area = aeff.evaluate(energy_true=[0.05, 0.3, 10] * u.TeV, offset=0 * u.deg).to_value("m2")
    assert area[0] < 1e3 < 5e3 < area[1] < 2e4
    assert 2e5 < area[2] < 1e6
    off = aeff.evaluate(energy_true=1 * u.TeV, offset=[0, 1, 2, 2.5] * u.deg)
    assert np.all(np.diff(off) < 0)
    assert aeff.meta["LO_THRES"] == pytest.approx(0.15)


def test_energy_dispersion_is_normalised_and_narrow():
    edisp = full_enclosure_irfs(INSTRUMENT)["edisp"]
    migra = edisp.axes["migra"]
    np.testing.assert_allclose(
        (edisp.quantity.value * migra.bin_width.value[None, :, None]).sum(axis=1), 1, rtol=1e-6
    )
    pdf = edisp.evaluate(energy_true=3 * u.TeV, migra=migra.center, offset=0.5 * u.deg).value
    mean = np.average(migra.center.value, weights=pdf)
    width = np.sqrt(np.average((migra.center.value - mean) ** 2, weights=pdf))
    assert mean == pytest.approx(1.01, abs=0.02)
    assert width == pytest.approx(0.155, abs=0.01)


@pytest.mark.parametrize(("energy", "r68"), [(0.1, 0.1), (20, 0.051)])
def test_psf_contains_68_percent_within_r68(energy, r68):
    psf = full_enclosure_irfs(INSTRUMENT)["psf"]
    inside = psf.containment(
        rad=[r68, 0.6] * u.deg, energy_true=energy * u.TeV, offset=0 * u.deg
    ).value.squeeze()
    assert inside[0] == pytest.approx(0.68, abs=0.015)
    assert inside[1] == pytest.approx(1, abs=0.005)


def test_point_like_response_is_the_full_one_times_the_containment():
    """Folding A' R' must give A R C, energy by energy."""
    full, point = full_enclosure_irfs(INSTRUMENT), point_like_irfs(INSTRUMENT)
    energy, offset = full["edisp"].axes["energy_true"].center, 0.5 * u.deg
    migra = full["edisp"].axes["migra"]
    for true in energy[5:30:6]:
        before = full["edisp"].evaluate(energy_true=true, migra=migra.center, offset=offset)
        after = point["edisp"].evaluate(energy_true=true, migra=migra.center, offset=offset)
        cut = point["rad_max"].evaluate(method="nearest", energy=true * migra.center, offset=offset)
        inside = INSTRUMENT.containment(cut, true, offset)
        ratio = (
            point["aeff"].evaluate(energy_true=true, offset=offset)
            / full["aeff"].evaluate(energy_true=true, offset=offset)
        ).to_value("")
        np.testing.assert_allclose(ratio * after, before * inside, atol=0.02 * before.max())
        assert 0.6 < ratio < 0.9


def test_background_falls_with_energy_and_offset():
    bkg = full_enclosure_irfs(INSTRUMENT)["bkg"]
    rate = bkg.evaluate(
        energy=[0.3, 3] * u.TeV, fov_lon=[0, 2] * u.deg, fov_lat=0 * u.deg, method="linear"
    )
    assert rate.unit.is_equivalent("TeV-1 s-1 sr-1")
    on_axis = bkg.evaluate(energy=[0.3, 3] * u.TeV, fov_lon=0 * u.deg, fov_lat=0 * u.deg)
    assert on_axis[0] > 100 * on_axis[1]
    far = bkg.evaluate(energy=1 * u.TeV, fov_lon=[0, 2] * u.deg, fov_lat=0 * u.deg)
    assert 0 < far[1] < 0.4 * far[0]
