import json
import os
import threading

import pytest

from qstar_pl.sandbox import codec


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 10_000, b"[1," * 10])
def test_malformed_messages_are_refused(body):
    with pytest.raises(codec.CodecError):
        codec.from_bytes(body)


def test_messages_of_too_many_parts_are_refused():
    with pytest.raises(codec.CodecError, match="parts"):
        codec.from_bytes(b"[" + b"0," * (codec.MAX_NODES + 1) + b"0]")


def test_channel():
    read, write = os.pipe()
    message = ["x" * 300_000, None]
    sender = threading.Thread(target=codec.send, args=(write, message))
    sender.start()
    assert codec.receive(read, 1 << 20) == message
    sender.join()
    codec.send(write, [1] * 100)
    with pytest.raises(codec.CodecError, match="at most 10 bytes"):
        codec.receive(read, 10)
    os.close(read)
    read, other = os.pipe()
    os.write(other, b"\0\0\0\4ab")
    os.close(other)
    with pytest.raises(codec.ClosedError):
        codec.receive(read, 10)
    assert json.loads(codec.to_bytes(message)[4:]) == message
    for descriptor in (read, write):
        os.close(descriptor)
