"""Understand a pickle without loading it.

The opcodes are walked one by one. Those that build plain values build them; names of classes and
functions become inert `Name` marks, and calls become inert `Call` marks: nothing is imported and
nothing is called. The one call that is computed is ``_codecs.encode(text, "latin1")``, which is how
Python 3 writes the bytes of protocol 2. Every other opcode is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daybreak.errors import EventError
from daybreak.neutrino.i3.limits import DEFAULT_LIMITS, Limits

_HINT = "Daybreak reads pickled alert messages without running them, and only plain ones."
_MARK = object()


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle names; never looked up."""

    module: str
    name: str


@dataclass(eq=False)
class Call:
    """What a call would have made: the function's name, its arguments, the state put into it."""

    function: Any
    arguments: Any
    state: Any = None


class _Machine:
    """Stack and memory of the interpreter."""

    def __init__(self, what: str, limits: Limits) -> None:
        self.what, self.limits = what, limits
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def fail(self, why: str) -> EventError:
        return EventError(f"{self.what}: {why}", _HINT)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise self.fail("the pickle takes from an empty stack")
        value = self.stack.pop()
        if value is _MARK:
            raise self.fail("the pickle takes a mark for a value")
        return value

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise self.fail(f"the pickle adds to something that is no {kind.__name__}")
        return self.stack[-1]

    def to_mark(self) -> list[Any]:
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is _MARK:
                items = self.stack[at + 1 :]
                del self.stack[at:]
                return items
        raise self.fail("the pickle has no mark where one is needed")

    # what the opcodes do

    def tuple_of(self, n: int) -> None:
        items = [self.pop() for _ in range(n)]
        self.push(tuple(reversed(items)))

    def append(self, values: list[Any]) -> None:
        self.top(list).extend(values)

    def set_items(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise self.fail("the pickle has a key without a value")
        target = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int | float | bytes | None):
                raise self.fail(f"the pickle has a {type(key).__name__} as a key")
            target[key] = value

    def append_one(self) -> None:
        value = self.pop()
        self.append([value])

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise self.fail("the pickle names something that is no text")
        self.push(Name(module, name))

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if function == Name("_codecs", "encode") and isinstance(arguments, tuple):
            self.push(self._encoded(arguments))
        else:
            self.push(Call(function, arguments))

    def _encoded(self, arguments: tuple[Any, ...]) -> bytes:
        match arguments:
            case (str() as text, "latin1" | "latin-1"):
                try:
                    return text.encode("latin-1")
                except UnicodeEncodeError:
                    raise self.fail("the pickle has bytes beyond 255") from None
        raise self.fail("the pickle encodes a text other than as latin1")

    def build(self) -> None:
        state = self.pop()
        self.top(Call).state = state

    def put(self, number: int) -> None:
        if not self.stack or self.stack[-1] is _MARK:
            raise self.fail("the pickle keeps a value where there is none")
        self.memo[number] = self.stack[-1]

    def get(self, number: int) -> None:
        if number not in self.memo:
            raise self.fail("the pickle uses a value that it did not keep")
        self.push(self.memo[number])


def _text_pair(arg: str) -> Name:
    module, _, name = arg.partition(" ")
    return Name(module, name)


_Action = Callable[[_Machine, Any], None]
_CONSTANTS = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG1", "INT", "BINFLOAT", "FLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
_ACTIONS: dict[str, _Action] = {
    "PROTO": lambda m, a: None,
    "FRAME": lambda m, a: None,
    "BINSTRING": lambda m, a: m.push(a.encode("latin-1")),
    "SHORT_BINSTRING": lambda m, a: m.push(a.encode("latin-1")),
    "TUPLE": lambda m, a: m.push(tuple(m.to_mark())),
    "TUPLE1": lambda m, a: m.tuple_of(1),
    "TUPLE2": lambda m, a: m.tuple_of(2),
    "TUPLE3": lambda m, a: m.tuple_of(3),
    "LIST": lambda m, a: m.push(m.to_mark()),
    "APPEND": lambda m, a: m.append_one(),
    "APPENDS": lambda m, a: m.append(m.to_mark()),
    "SETITEM": lambda m, a: m.set_item(),
    "SETITEMS": lambda m, a: m.set_items(m.to_mark()),
    "GLOBAL": lambda m, a: m.push(_text_pair(a)),
    "STACK_GLOBAL": lambda m, a: m.stack_global(),
    "REDUCE": lambda m, a: m.reduce(),
    "NEWOBJ": lambda m, a: m.reduce(),
    "BUILD": lambda m, a: m.build(),
    "BINPUT": lambda m, a: m.put(a),
    "LONG_BINPUT": lambda m, a: m.put(a),
    "MEMOIZE": lambda m, a: m.put(len(m.memo)),
    "BINGET": lambda m, a: m.get(a),
    "LONG_BINGET": lambda m, a: m.get(a),
}
for _name in _VALUES:
    _ACTIONS[_name] = lambda m, a: m.push(a)
for _name, _make in _CONSTANTS.items():
    _ACTIONS[_name] = lambda m, a, make=_make: m.push(make())  # type: ignore[misc]


def interpret(data: bytes, what: str, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return the value that a pickle describes, with inert marks for anything but plain values.

    Parameters
    ----------
    data
        The pickle.
    what
        What it is, for messages.
    limits
        Bounds on its size and number of opcodes.

    Returns
    -------
    Any
        None, bool, int, float, str, bytes, list, tuple, dict, `Name` or `Call`. A value may be
        contained in itself; walk it with `check_depth` first.

    Raises
    ------
    EventError
        The pickle is damaged, too large, or uses an opcode that is not needed for a message.
    """
    machine = _Machine(what, limits)
    if len(data) > limits.frame_bytes:
        raise machine.fail(f"the pickle is larger than {limits.frame_bytes} bytes")
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count >= limits.opcodes:
                raise machine.fail(f"the pickle has more than {limits.opcodes} opcodes")
            if opcode.name == "STOP":
                break
            action = _ACTIONS.get(opcode.name)
            if action is None:
                raise machine.fail(f"the pickle uses {opcode.name}, which no message needs")
            action(machine, argument)
    except (ValueError, UnicodeError, OverflowError) as error:
        raise machine.fail(f"the pickle is damaged: {error}") from None
    value = machine.pop()
    check_depth(value, what, limits)
    return value


def check_depth(value: Any, what: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse a value that is nested too deeply, or contained in itself.

    Parameters
    ----------
    value
        The value.
    what
        What it is, for messages.
    limits
        How much may be read.

    Raises
    ------
    EventError
        It is.
    """
    layer, seen = [value], 0
    for _ in range(limits.depth):
        below: list[Any] = []
        for each in layer:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list | tuple):
                below.extend(each)
            elif isinstance(each, Call):
                below.extend((each.function, each.arguments, each.state))
        seen += len(below)
        if seen > limits.opcodes:
            raise EventError(f"{what}: more than {limits.opcodes} values", _HINT)
        if not below:
            return
        layer = below
    raise EventError(f"{what}: nested deeper than {limits.depth}", _HINT)
