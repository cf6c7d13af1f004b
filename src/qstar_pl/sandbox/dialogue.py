"""Two processes that use each other's objects; a side that has asked answers the other until it has its own answer.

A request is ["do", operation, number of the object, how many of the values are plain arguments, names of the others,
containers to forget, values]; an answer is ["gave", values], ["ended", values] of an iterator, or ["raised", whether a
program could not be compiled, the exception's name, its text, values]. Values are those of `graph.py`.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any

from qstar_pl.sandbox import codec, operations, stand_ins
from qstar_pl.sandbox.graph import FEW_PARTS, Graph
from qstar_pl.sandbox.raised import text_of


class Dialogue:
    """One side. Subclasses say what they let the other side do, and what a failure there is to them."""

    asks_all = True
    """Whether stand-ins pass on every operation."""
    caught: type[BaseException] = BaseException
    """What an operation that the other side has asked for may raise without ending this process."""
    forgets = False
    """Whether this side bounds what both sides know; one of them must."""

    def __init__(self, descriptors: tuple[int, int], first: int, limit: int) -> None:
        """Begin.

        Args:
            descriptors: to read from and to write to.
            first: see `Graph`.
            limit: bytes of a message that is read.

        """
        self._read, self._write = descriptors
        self._limit = limit
        self._classes = stand_ins.kinds(self.asks_all)
        self.graph = Graph(first, self._stand_in)
        # Reentrant: the thread that waits for an answer may be asked meanwhile, and ask again for that.
        self._turn, self._owner = threading.RLock(), os.getpid()
        self._asking = self._answering = 0

    def _stand_in(self, number: int, kind: str, name: str, code: int | None) -> Any:
        if kind == "generator":
            return stand_ins.generator(self.ask, number)
        return self._classes[kind](self.ask, number, name, code)

    def ask(self, operation: str, number: int, *arguments: Any, **named: Any) -> Any:
        """Have an operation done with an object of the other side's, and return what it gives.

        Raises:
            StopIteration: at the end of an iterator.
            Exception: what was raised there.
            codec.ClosedError: if there is nobody any more.
            codec.CodecError: if the answer is not well-formed, or too large.

        """
        if os.getpid() != self._owner:  # a forked copy would talk into the same pipe
            raise RuntimeError("an object of the tests can be used in one process only")
        with self._turn:
            graph, nested = self.graph, self._answering > 0
            forgotten = graph.too_many() if self.forgets and operation == "call" and not nested else []
            graph.forget(forgotten)
            values = graph.pack([*arguments, *named.values()], self._all_changes(operation, nested))
            self.send(["do", operation, number, len(arguments), list(named), forgotten], values)
            self._asking += 1
            try:
                while isinstance(message := codec.receive(self._read, self._limit), list) and message[:1] == ["do"]:
                    self.answer(message)
            finally:
                self._asking -= 1
            return self._outcome(message, operation)

    def _all_changes(self, operation: str, nested: bool) -> bool:
        # Every call shows all that has changed since the last; steps within one only where that is cheap.
        return (operation == "call" and not nested) or self.graph.parts <= FEW_PARTS

    def answer(self, message: Any) -> None:
        """Do what the other side asks for, and say what it gives."""
        graph, nested = self.graph, self._asking > 0
        operation, everything = "", False
        self._answering += 1
        try:
            _, operation, number, count, names, forgotten, values = message
            everything = self._all_changes(operation, nested)
            graph.forget(forgotten)
            given = graph.unpack(values)
            target, arguments = graph.own[number], given[:count]
            if not self.permits(operation, target, arguments):
                raise AttributeError(f"{operation} is not possible with this object of the tests")
            result = operations.OPERATIONS[operation](
                target, *arguments, **dict(zip(names, given[count:], strict=True))
            )
            reply = ["gave"], graph.pack([result], everything)
        except StopIteration as end:
            if operation in operations.ENDS:
                reply = ["ended"], graph.pack([end.value], everything)
            else:
                reply = self.described(end)
        except self.caught as error:
            reply = self.described(error)
        finally:
            self._answering -= 1
        self.send(*reply)

    def permits(self, operation: str, target: Any, arguments: list[Any]) -> bool:
        """Return whether the other side may do this."""
        return True

    def described(self, error: BaseException) -> tuple[list[Any], str]:
        """Return the answer that an exception is, as `send` takes it."""
        error.__traceback__ = None  # it would keep all of the function's variables alive
        name, text = type(error).__name__, text_of(error)[:200]
        try:
            values = self.graph.pack([error], everything=True)
        except BaseException:  # its arguments cannot be sent, or its class does as it likes
            values = self.graph.pack([RuntimeError(text)], everything=True)
        return ["raised", "", name, text], values

    def _outcome(self, message: Any, operation: str) -> Any:
        match message:
            case ["gave", values]:
                return self.graph.unpack(values)[0]
            case ["ended", values] if operation in operations.ENDS:
                raise StopIteration(self.graph.unpack(values)[0])
            case ["raised", str(what), str(kind), str(text), values]:
                error = self.graph.unpack(values)[0]
                if isinstance(error, Exception):
                    self.failed(what, kind, text, error)
                    raise error
        raise codec.CodecError("an answer must be one")

    def failed(self, what: str, kind: str, text: str, error: Exception) -> None:
        """Take note of what was raised on the other side."""

    def send(self, words: list[Any], values: str) -> None:
        """Write a message of some words and then values, which are JSON already."""
        body = f"{json.dumps(words)[:-1]}, {values}]".encode()
        try:
            codec.write_all(self._write, len(body).to_bytes(4, "big") + body)
        except OSError as error:
            raise codec.ClosedError from error
