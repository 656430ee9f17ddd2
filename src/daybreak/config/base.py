"""The base of all configuration models, and quantities with units as field types."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from astropy import units as u
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema


class Frozen(BaseModel):
    """A model that can't be changed and refuses keys that it doesn't know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_default=True
    )


def _quantity(unit: str, *, positive: bool = False) -> Any:
    target = u.Unit(unit)

    def parse(value: Any) -> u.Quantity:
        if isinstance(value, bool) or value is None:
            raise ValueError(f"expected a quantity such as '1 {unit}', got {value!r}")
        try:
            quantity = u.Quantity(value)
        except (TypeError, ValueError):
            raise ValueError(f"expected a quantity such as '1 {unit}', got {value!r}") from None
        if not quantity.isscalar:
            raise ValueError(f"expected one quantity such as '1 {unit}', got {value!r}")
        if quantity.unit == u.dimensionless_unscaled and target != u.dimensionless_unscaled:
            raise ValueError(f"the unit is missing: write for example '{value} {unit}'")
        try:
            size = quantity.to_value(target)
        except u.UnitConversionError:
            raise ValueError(f"expected a unit like '{unit}', got {str(quantity.unit)!r}") from None
        if not np.isfinite(size):
            raise ValueError("expected a finite number")
        if positive and not size > 0:
            raise ValueError("expected a value above 0")
        return quantity

    return BeforeValidator(parse)


def _serialize(quantity: u.Quantity) -> str:
    short = f"{quantity.value:g}"
    exact = short if float(short) == quantity.value else repr(float(quantity.value))
    return f"{exact} {quantity.unit}"


_SERIALIZER = PlainSerializer(_serialize, return_type=str)

Angle = Annotated[
    u.Quantity,
    _quantity("deg"),
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["0.5 deg"]}),
]
Size = Annotated[
    u.Quantity,
    _quantity("deg", positive=True),
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["0.1 deg"]}),
]
"""An angle above zero: a radius, a width."""
Energy = Annotated[
    u.Quantity,
    _quantity("TeV", positive=True),
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["1 TeV"]}),
]
Duration = Annotated[
    u.Quantity,
    _quantity("min"),
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["5 min"]}),
]
PositiveDuration = Annotated[
    u.Quantity,
    _quantity("min", positive=True),
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["30 min"]}),
]
"""A duration above zero."""
Length = Annotated[
    u.Quantity,
    _quantity("m"),
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["2200 m"]}),
]
Memory = Annotated[
    u.Quantity,
    _quantity("GB", positive=True),
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["4 GB"]}),
]
"""A size of memory: MB and GB (powers of ten), or MiB and GiB."""
