"""Alert messages: JSON and pickles, which are interpreted and never run."""

from __future__ import annotations

import base64
import os
import pickle
import zlib

import i3_writer as w
import pytest

from daybreak.errors import EventError
from daybreak.neutrino.i3.decode import decode
from daybreak.neutrino.i3.limits import Limits
from daybreak.neutrino.message.alert import read_message, unwrap_frame
from daybreak.neutrino.message.safe_pickle import Call, Name, interpret


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_values_come_back(protocol):
    value = {
        "a": [1, -2, 300, 70_000, 2**40, True, False, None],
        "b": (1.5, "ü", {"c": []}, ()),
        "n": "x" * 300,
    }
    assert interpret(pickle.dumps(value, protocol), "t") == value


def test_the_two_pickles_of_bytes():
    assert interpret(pickle.dumps(b"\x00\xff[i3]", 2), "t") == b"\x00\xff[i3]"
    assert interpret(pickle.dumps(b"\x00\xff[i3]" * 99, 4), "t") == b"\x00\xff[i3]" * 99


class _Evil:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_nothing_is_called(tmp_path, protocol):
    touched = tmp_path / "touched"
    data = pickle.dumps({"x": _Evil((os.system, (f"touch {touched}",)))}, protocol)
    found = interpret(data, "t")["x"]
    assert isinstance(found, Call) and found.function in (
        Name("posix", "system"),
        Name("nt", "system"),
    )
    assert not touched.exists()
    for codec in ("rot13", "zlib_codec", "utf-8"):
        import codecs

        evil = pickle.dumps(_Evil((codecs.encode, ("x", codec))), protocol)
        with pytest.raises(EventError, match="latin1"):
            interpret(evil, "t")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x80\x02(lp0\n.", "PUT"),
        (b"\x80\x02}(i__main__\nX\n.", "INST"),
        (b"\x80\x02Pname\n.", "PERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02.", "empty stack"),
        (b"\x80\x02h\x05.", "did not keep"),
        (b"\x80\x02]", "damaged"),
        (b"\x80\x04]\x94(" + b"h\x00" * 3 + b"e.", "more than 200000 values"),
        (b"\x80\x02" + b"]" * 100 + b"a" * 99 + b".", "nested deeper"),
        (b"\x80\x02}]K\x01s.", "as a key"),
    ],
)
def test_odd_pickles(data, says):
    with pytest.raises(EventError, match=says):
        interpret(data, "t")


def test_billion_laughs_and_opcode_limit():
    # each list holds the one before ten times: few opcodes, 10**9 values when walked
    data = b"\x80\x02]q\x00"
    for i in range(9):
        data += b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1])
    with pytest.raises(EventError, match="values"):
        interpret(data + b".", "t")
    with pytest.raises(EventError, match="opcodes"):
        interpret(b"\x80\x02" + b"N" * 50 + b".", "t", Limits(opcodes=40))


@pytest.mark.parametrize("form", ["py2", "py3", "protocol4"])
def test_frames_in_all_spellings(form):
    data = w.frame("Q", {"Number": w.pod("I3Int", "i", 5)})
    packed = zlib.compress(w.frame_pickle(data, form))
    assert decode(unwrap_frame(base64.b64encode(packed).decode(), "t"), "Number") == 5
    plain = base64.b64encode(w.frame_pickle(data, form)).decode()
    assert decode(unwrap_frame(plain, "t"), "Number") == 5


@pytest.mark.parametrize("name", ["m.json", "m.pkl"])
@pytest.mark.parametrize("form", ["py2", "py3", "protocol4"])
def test_whole_messages(tmp_path, name, form):
    value = w.message(w.event_frames(), form, nch=5, qtot=1.5)
    found = read_message(w.write_message(tmp_path / name, value))
    assert [f.stream for f in found.frames] == ["G", "Q", "P"]
    assert found.numbers == {"nch": 5, "qtot": 1.5}
    assert (found.topic, found.version) == ("realtimeEventData", "2021a")
    assert "Raw" in found.frames[2]


def test_old_form_with_frames_alone(tmp_path):
    value = w.message(w.event_frames())
    value["value"] = {"data": value["value"]["data"]["frames"]}
    assert len(read_message(w.write_message(tmp_path / "m.json", value)).frames) == 3


def _broken(change):
    value = w.message(w.event_frames(), nch=1)
    change(value)
    return value


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.pop("value"), "no value.data"),
        (lambda v: v["value"].pop("data"), "no value.data"),
        (lambda v: v["value"]["data"].update(frames=[]), "0 frames"),
        (lambda v: v["value"]["data"]["frames"][1].append(1), "no pair"),
        (lambda v: v["value"]["data"]["frames"][1].__setitem__(0, "P"), "is said to be"),
        (lambda v: v["value"]["data"]["frames"][1].__setitem__(1, 7), "not a text"),
        (lambda v: v["value"]["data"]["frames"][1].__setitem__(1, "AAAA"), "decompress"),
        (
            lambda v: v["value"]["data"]["frames"][1].__setitem__(
                1, base64.b64encode(zlib.compress(pickle.dumps({"a": 1}, 2))).decode()
            ),
            "something else than a frame",
        ),
    ],
)
def test_messages_that_are_none(tmp_path, change, says):
    with pytest.raises(EventError, match=says):
        read_message(w.write_message(tmp_path / "m.json", _broken(change)))


def test_bombs_and_deep_json(tmp_path):
    bomb = base64.b64encode(zlib.compress(b"\x80\x02" + bytes(50 << 20))).decode()
    with pytest.raises(EventError, match="larger than"):
        unwrap_frame(bomb, "t", Limits(frame_bytes=1 << 20))
    cut = base64.b64encode(zlib.compress(w.frame_pickle(w.frame("Q", {})))[:-9]).decode()
    with pytest.raises(EventError, match="cut off"):
        unwrap_frame(cut, "t")
    deep = tmp_path / "deep.json"
    for n in (100, 200_000):
        deep.write_text("[" * n + "]" * n, encoding="utf-8")
        with pytest.raises(EventError, match="nested"):
            read_message(deep)
    for text in ("{", '{"a": NaN', "\x00", '{"value": 1e999999}', "[" + "9" * 5000 + "]"):
        deep.write_text(text, encoding="utf-8")
        with pytest.raises(EventError):
            read_message(deep)
    deep.write_bytes(b'{"a":"\xff\xfe"}')
    with pytest.raises(EventError):
        read_message(deep)
    deep.write_text("{" + " " * 200 + "}", encoding="utf-8")
    with pytest.raises(EventError, match="larger than 100"):
        read_message(deep, Limits(file_bytes=100))
