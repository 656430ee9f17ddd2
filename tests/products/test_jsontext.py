"""JSON from outside: as the standard library reads it, but never deep."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybreak.products.jsontext import loads_shallow

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(VALUES)
def test_values_come_through(value):
    assert loads_shallow(json.dumps(value).encode()) == value


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 300 + "1" + "}" * 300, "[" * 201])
def test_deep_text_is_refused_before_it_is_parsed(text):
    with pytest.raises(ValueError, match="deeper than 200"):
        loads_shallow(text.encode())


def test_depth_is_what_is_open_at_a_time():
    assert len(loads_shallow(b"[" + b"[]," * 5000 + b"1]")) == 5001
    assert loads_shallow(b"[" * 200 + b"]" * 200)
    with pytest.raises(ValueError):
        loads_shallow(b"{")
