"""Numbers as text: values rounded to the digits that their error allows."""

from __future__ import annotations

from math import floor, isfinite, log10

MINUS = "\u2212"
PLUS_MINUS = "\u00b1"
TIMES = "\u00d7"
MISSING = "\u2013"
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def superscript(number: int) -> str:
    """Integer in superscript signs.

    Parameters
    ----------
    number
        May be negative.
    """
    return str(number).translate(_SUPERSCRIPT)


def power_of_ten(exponent: int) -> str:
    """``10ⁿ`` as text.

    Parameters
    ----------
    exponent
        The n.
    """
    return f"10{superscript(exponent)}"


def decimals_of(error: float, digits: int = 2) -> int:
    """Decimals that show an error with as many significant digits as are wanted; 12 at most.

    Parameters
    ----------
    error
        The error; 2 is returned if it is not positive and finite.
    digits
        Significant digits.
    """
    if not (isfinite(error) and error > 0):
        return 2
    decimals = digits - 1 - floor(log10(error))
    if float(f"{error:.{max(decimals, 0)}f}") >= 10.0 ** (digits - decimals):
        decimals -= 1  # 0.0996 is shown as 0.10, not as 0.100
    return min(max(decimals, 0), 12)


def fixed(value: float, decimals: int) -> str:
    """Fixed decimals with a real minus sign; a dash where the value is missing.

    Parameters
    ----------
    value
        Infinite or NaN: missing.
    decimals
        Digits after the point.
    """
    if not isfinite(value):
        return MISSING
    text = f"{value:.{decimals}f}"
    if text.startswith("-") and float(text) == 0:
        text = text[1:]
    return text.replace("-", MINUS)


def whole(value: float) -> str:
    """Whole number with thin spaces between thousands; decimals only where there are any.

    Parameters
    ----------
    value
        Infinite or NaN: missing, shown as a dash.
    """
    if not isfinite(value):
        return MISSING
    if abs(value - round(value)) > 1e-6:
        return fixed(value, 1)
    return f"{round(value):,}".replace(",", "\u202f").replace("-", MINUS)


def significant(value: float, digits: int = 3) -> str:
    """Significant digits of a value; a power of ten where it is very small or large.

    Parameters
    ----------
    value
        Infinite or NaN: missing, shown as a dash.
    digits
        How many are shown.
    """
    if not isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    exponent = floor(log10(abs(value)))
    if -4 <= exponent < 6:
        return fixed(value, max(digits - 1 - exponent, 0))
    return f"{fixed(value / 10.0**exponent, digits - 1)} {TIMES} {power_of_ten(exponent)}"


def plain(value: float, digits: int = 3) -> str:
    """Significant digits of a value, without zeros at the end: ``1``, ``0.87``.

    Parameters
    ----------
    value
        As for `significant`.
    digits
        How many are shown at most.
    """
    text = significant(value, digits)
    if TIMES in text or "." not in text:
        return text
    return text.rstrip("0").rstrip(".")


def with_error(value: float, error: float) -> str:
    """``value ± error`` with two significant digits of the error.

    Parameters
    ----------
    value
        Infinite or NaN: missing, shown as a dash.
    error
        In the unit of the value; left out if it is not positive and finite.
    """
    if not isfinite(value):
        return MISSING
    if not (isfinite(error) and error > 0):
        return significant(value)
    decimals = decimals_of(error)
    return f"{fixed(value, decimals)} {PLUS_MINUS} {fixed(error, decimals)}"


def scaled_with_error(value: float, error: float) -> str:
    """``(value ± error) × 10ⁿ`` for fluxes.

    Parameters
    ----------
    value
        Infinite or NaN: missing, shown as a dash.
    error
        In the unit of the value; left out if it is not positive and finite.
    """
    if not isfinite(value):
        return MISSING
    size = max(abs(value), error if isfinite(error) else 0.0)
    if size == 0:
        return "0"
    exponent = floor(log10(size))
    scale = 10.0**exponent
    body = with_error(value / scale, error / scale)
    if PLUS_MINUS in body:
        body = f"({body})"
    return f"{body} {TIMES} {power_of_ten(exponent)}"


def common_exponent(values: list[float]) -> int:
    """Power of ten that fits a column of values: that of the largest.

    Parameters
    ----------
    values
        Zeros and values that are missing are passed over.
    """
    sizes = [abs(value) for value in values if isfinite(value) and value != 0]
    return floor(log10(max(sizes))) if sizes else 0
