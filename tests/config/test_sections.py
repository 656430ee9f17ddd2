"""Steps see the settings that they declare, and no others."""

from __future__ import annotations

import pytest
from astropy import units as u

from daybreak.config.analysis import AnalysisConfig
from daybreak.config.sections import Declared, declare
from daybreak.errors import UndeclaredSettingError

CONFIG = AnalysisConfig.model_validate(
    {"lightcurve": {"minutes": "5 min"}, "spectrum": {"n_sigma_ul": 3.0}}
)


def test_declared_settings_are_read_with_their_units():
    view = Declared(AnalysisConfig, declare(CONFIG, ("lightcurve", "spectrum.n_sigma_ul")))
    assert view.lightcurve.minutes == 5 * u.min and view.spectrum.n_sigma_ul == 3.0


@pytest.mark.parametrize(
    "read", [lambda v: v.maps, lambda v: v.spectrum.models, lambda v: v.maps.pixel]
)
def test_others_are_refused(read):
    view = Declared(AnalysisConfig, declare(CONFIG, ("lightcurve", "spectrum.n_sigma_ul")))
    with pytest.raises(UndeclaredSettingError, match="without declaring it"):
        read(view)


def test_what_does_not_exist_can_not_be_declared():
    for path in ("nonsense", "spectrum.nonsense", "instrument.name"):
        with pytest.raises(UndeclaredSettingError, match=path):
            declare(CONFIG, (path,))
