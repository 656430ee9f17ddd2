from __future__ import annotations

import math

import pytest

from daybreak.report.common import rounding


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (16.4712, 0.9, "16.47 ± 0.90"),
        (2.6851, 0.0721, "2.685 ± 0.072"),
        (408.0, 21.3, "408 ± 21"),
        (0.5, 0.0996, "0.50 ± 0.10"),
        (-0.0412, 0.0473, "−0.041 ± 0.047"),
        (-0.001, 0.5, "0.00 ± 0.50"),
        (math.nan, 1.0, "–"),
        (3.14159, math.nan, "3.14"),
        (0.0, 0.0, "0"),
    ],
)
def test_value_has_the_digits_of_its_error(value, error, text):
    assert rounding.with_error(value, error) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (2.65e-11, 1.4e-12, "(2.65 ± 0.14) × 10⁻¹¹"),
        (7.89e-13, 0.0, "7.89 × 10⁻¹³"),
        (1e-13, 2e-12, "(0.1 ± 2.0) × 10⁻¹²"),
        (0.0, math.nan, "0"),
        (math.inf, 1.0, "–"),
    ],
)
def test_fluxes_share_one_power_of_ten(value, error, text):
    assert rounding.scaled_with_error(value, error) == text


def test_plain_numbers_end_without_zeros():
    assert [rounding.plain(x) for x in (1.0, 40.0, 0.87, 100.0, 0.7368)] == [
        "1",
        "40",
        "0.87",
        "100",
        "0.737",
    ]


def test_whole_numbers_keep_a_fraction_that_is_there():
    assert rounding.whole(30228.0) == "30\u202f228"
    assert rounding.whole(7.5) == "7.5"
    assert rounding.whole(math.nan) == "–"
