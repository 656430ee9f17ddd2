"""The base of all configuration models, and quantities with units as field types."""

from __future__ import annotations

from typing import Annotated, Any

from astropy import units as u
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema


class Frozen(BaseModel):
    """A model that can't be changed and refuses keys that it doesn't know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_default=True
    )


def _quantity(unit: str) -> Any:
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
            quantity.to(target)
        except u.UnitConversionError:
            raise ValueError(
                f"expected a unit like '{unit}', got {str(quantity.unit)!r}"
            ) from None
        return quantity

    return (BeforeValidator(parse), unit)


def _serialize(quantity: u.Quantity) -> str:
    return f"{quantity.value:g} {quantity.unit}"


_SERIALIZER = PlainSerializer(_serialize, return_type=str)

Angle = Annotated[
    u.Quantity,
    _quantity("deg")[0],
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["0.5 deg"]}),
]
Energy = Annotated[
    u.Quantity,
    _quantity("TeV")[0],
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["1 TeV"]}),
]
Duration = Annotated[
    u.Quantity,
    _quantity("min")[0],
    _SERIALIZER,
    WithJsonSchema({"type": "string", "examples": ["5 min"]}),
]
