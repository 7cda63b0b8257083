# SPDX-License-Identifier: MIT
"""Seeds for fuzz_path: short plays of units, users and the broker. Used by seeds.py.

The names of operations and the bytes behind them are those of fuzz_path.h and fuzz_path.c."""

OPERATIONS = "turn connect send rest series datagram burst read close time command answer broker reload birth disk".split()
CONFIG_BYTES = 16


def play(*operations, **config):
    """config: c0=…, c1=…: bytes of the configuration. An operation: "turn", or ("burst", 1, 2, 3)."""
    head = bytes(config.get(f"c{i}", 1 if i == 11 else 0) for i in range(CONFIG_BYTES))
    out = bytearray(head)
    for operation in operations:
        name, *arguments = (operation,) if isinstance(operation, str) else operation
        data = b"".join(a if isinstance(a, bytes) else bytes([a]) for a in arguments)
        for at in range(0, max(len(data), 1), 255):
            out += bytes([OPERATIONS.index(name), len(data[at:at + 255])]) + data[at:at + 255]
    return bytes(out)


LARGE = {"c1": 7, "c3": 0xf7, "c5": 0x12}  # limits that are not reached
SECOND, THREE_SECONDS = ("time", 4), ("time", 5)
H02, V0, V4, NBR, JT, BATCH, REPLY, BYTES = 0, 1, 2, 6, 18, 18, 18, 31


def location(ident, *more):
    return bytes([JT, ident, 0, 0, 1, *more])


def plays(vectors):
    """Pairs of name and bytes."""
    take = (("broker", 40, 0),)
    yield "hello", play(("connect", 0, 0), ("send", 0, 0, 0, H02, 0), "turn", ("read", 0), *take, ("close", 0, 0), "turn")
    yield "binary", play(("connect", 0, 0), ("send", 0, 3, 0, H02, 1, 1, 2, 3, 5, 1, 1, 0, 0, V4, 1), "turn", **LARGE)
    yield "jt808", play(("connect", 1, 0x10), ("send", 1, 1, 0, location(4), location(4, 20)), "turn", ("read", 1), *take, **LARGE)
    yield "jt808-2019", play(("connect", 1, 0), ("send", 1, 1, 0, JT, 5, 3, 1, 1, JT, 5, 4, 1, 2), "turn", **LARGE)
    yield "heartbeat-udp", play(("burst", 0, 128, 3, 4), "turn", *[("datagram", 0, 0, 0, JT + 5, 128)] * 3, "turn", **LARGE)
    yield "strangers", play(*[("connect", who, 0) for who in range(6)], "turn", *[("datagram", peer, 0, 0, BYTES, 0, 3, b"abc")
                            for peer in range(6)], "turn", ("time", 6), "turn", c1=4)
    yield "batch", play(("connect", 1, 0), *[("send", 1, 0, 0, BATCH, 4, 1, 0, i, 33) for i in range(9)], "turn", *take, "turn",
                        **LARGE)
    parts = [("send", 1, 0, 0, JT, 4, 6, 2 | number << 4, number, 90) for number in (0, 1)]
    yield "parts", play(("connect", 1, 0), *parts, "turn", *parts[::-1], "turn", **LARGE)
    yield "cut", play(("connect", 0, 0), ("send", 0, 0, 100, H02, 0), "turn", ("time", 3), ("rest", 0), "turn", **LARGE)
    yield "noise", play(("connect", 0, 0), ("send", 0, 0x80, 0, H02, 0), "turn", "turn", "turn", **LARGE)
    yield "proxy", play(("connect", 0, 0x88, 0), ("send", 0, 0, 0, H02, 0), "turn", ("connect", 1, 0x88, 1), "turn",
                        ("send", 1, 0, 0, V0, 1), "turn", **LARGE)
    yield "unknown", play(("connect", 0, 0), ("send", 0, 0, 0, BYTES, 0, 30, b"GET / HTTP/1.1 and so on......"), "turn",
                          ("close", 0, 1), "turn", **LARGE)
    yield "datagram", play(("datagram", 0, 1, 0, H02, 0, 1, 2, 3, V0, 1), "turn", ("datagram", 0, 0, 0, location(4)), "turn",
                           ("time", 7), **LARGE)
    yield "burst", play(("burst", 0, 128, 40, 0), "turn", ("burst", 3, 140, 40, 4), "turn", *take)
    yield "series", play(("connect", 0, 0), ("series", 0, 128, 40, 0), "turn", ("connect", 1, 0x10), ("series", 1, 128, 40, 0),
                         "turn", "turn", **LARGE)
    yield "move", play(("connect", 0, 0), ("send", 0, 0, 0, V0, 0), "turn", ("connect", 1, 0x10), ("send", 1, 0, 0, V0, 0), "turn",
                       SECOND, SECOND, ("datagram", 2, 0, 0, V0, 0), "turn", **LARGE)
    talk = (("command", 0, 5, 0), ("command", 0, 7, 2), ("command", 0, 0, 2), "turn", SECOND, ("answer", 0, 1), "turn")
    yield "command", play(("connect", 0, 0), ("send", 0, 0, 0, V0, 0), "turn", *talk, **LARGE)
    yield "command-gap", play(("connect", 0, 0), ("send", 0, 0, 0, V0, 0), "turn", *talk, **LARGE, c7=1)
    yield "command-udp", play(("datagram", 0, 0, 0, H02, 0), "turn", *talk[:-2], ("answer", 128, 1), "turn", **LARGE)
    yield "command-jt808", play(("connect", 0, 0), ("send", 0, 0, 0, location(4)), "turn", ("command", 3, 9, 0), "turn",
                                ("command", 3, 8, 0), "turn", ("answer", 0, 0), "turn", SECOND, THREE_SECONDS, **LARGE)
    yield "held", play(("command", 0, 6, 0), ("command", 0, 8, 2), SECOND, ("connect", 0, 0), ("send", 0, 0, 0, V0, 0), "turn",
                       ("answer", 0, 1), "turn", ("command", 1, 11, 0), THREE_SECONDS, **LARGE, c7=8)
    yield "same-id", play(("command", 0, 6, 1), ("command", 0, 6, 1), ("command", 0, 3, 1), ("command", 9, 6, 0x2b), SECOND,
                          THREE_SECONDS, **LARGE, c7=8)
    yield "free-text", play(("command", 0, 12, 0, b'{"command":"engine.stop","args":{"a":1},"hold":1}'), "turn", **LARGE)
    yield "deaf", play(("connect", 0, 7), *[("send", 0, 3, 0, V0, 0, V0, 0, V0, 0, V0, 0), "turn"] * 12, ("command", 0, 5, 0),
                       "turn", **LARGE)
    yield "deaf-long", play(("connect", 0, 7), ("send", 0, 0, 0, V0, 0), "turn", *[("series", 0, 0, 63, 134, 0), "turn"] * 9,
                            ("read", 0), "turn", **LARGE | {"c5": 2}, c0=0x30)
    yield "reads-late", play(("connect", 0, 1), ("send", 0, 0, 0, V0, 0), "turn", ("command", 0, 5, 0), *[("series", 0, 0, 63, 134, 0)] * 4,
                             "turn", ("command", 0, 7, 0), "turn", ("read", 0), "turn", "turn", ("read", 0), "turn", "turn", **LARGE, c0=0x30)
    yield "batch-parts", play(("connect", 1, 0), ("series", 1, 3, 4, 64), "turn", "turn", ("series", 1, 3, 40, 64), "turn", "turn", **LARGE,
                              c0=16)
    yield "late", play(*[("burst", 0, 128, 63, 6), "turn", SECOND] * 12, *take, ("burst", 0, 0, 9, 6), "turn", *take * 8, **LARGE, c0=0x30,
                       c6=2, c11=0)
    yield "open-again", play(("burst", 0, 128, 9, 6), "turn", ("broker", 2, 0), "turn", **LARGE, c0=1, c11=2)
    yield "proxy-half", play(("connect", 0, 0x88, 64), "turn", ("rest", 0), "turn", ("connect", 1, 0xb8, 0), "turn", ("connect", 2, 0x88, 0),
                             ("connect", 3, 0x88, 0), ("connect", 4, 0x88, 0), ("connect", 5, 0x88, 0), "turn", **LARGE | {"c1": 0x37})
    yield "reload", play(("connect", 0, 0), ("send", 0, 1, 0, H02, 1, 0, 0, 0, V0, 0), "turn", ("reload", 1), "turn", ("reload", 3),
                         ("reload", 5), "turn", ("reload", 24), "turn", **LARGE)
    yield "birth", play(("connect", 0, 0), ("send", 0, 1, 0, H02, 1, 0, 0, 4, V0, 0), "turn", "birth", *take, ("reload", 1), "birth",
                        "turn", **LARGE)
    yield "full", play(("connect", 0, 0), *[("send", 0, 0, 0, BATCH, 4, 1, 0, i, 33) for i in range(4)], "turn", ("close", 0, 0),
                       ("burst", 0, 128, 40, 6), "turn", *take, "turn", ("broker", 255), *take, "turn", **LARGE, c0=16)
    yield "owntracks", play(("connect", 0, 0), ("send", 0, 0, 0, H02, 1, 1, 2), "turn", ("broker", 3, 1), "turn", **LARGE, c9=1)
    yield "disk", play(("burst", 0, 128, 20, 6), "turn", ("disk", 1), ("burst", 0, 128, 20, 6), "turn", ("disk", 0), ("time", 3),
                       ("broker", 4, 2), "turn", ("broker", 255), ("broker", 9, 1), "turn", **LARGE, c0=1, c6=2)
    yield "disk-many", play(*[("burst", 0, 128, 40, 6), "turn", SECOND] * 4, ("disk", 1), ("broker", 250, 0), "turn", ("disk", 0), "turn",
                            **LARGE, c0=0x31, c6=2)
    yield "full-births", play(("burst", 0, 128, 40, 6), "turn", *["birth"] * 5, ("time", 8), "turn", **LARGE, c0=16)
    yield "clock", play(("connect", 0, 0), ("send", 0, 0, 0, V0, 0), "turn", ("command", 0, 5, 0), ("time", 4, 8), "turn", **LARGE)
    # not a crash of any version, but near some: units that move and are forgotten while their old connection has more to say
    first, moves, other = (("connect", 0, 0), ("series", 0, 128, 0, 0), "turn", SECOND), ("burst", 0, 128, 0, 1), ("burst", 1, 129, 0, 0)
    unread = ("series", 0, 140, 5, 1, 4)
    yield "superseded", play(*first, ("series", 0, 140, 5, 1, 0), moves, other, "turn", c3=0x80)
    yield "superseded-unread", play(*first, other, unread, moves, "turn", ("burst", 1, 129, 0, 0), "turn", c3=0x80)
    yield "superseded-answered", play(*first, unread, other, ("burst", 0, 128, 0, 0), "turn")
    yield "forgotten", play(*first, moves, "turn", unread, ("burst", 1, 129, 30, 1), "turn", c3=0x80)
    yield "forgotten-few", play(*first, unread, moves, ("burst", 1, 129, 4, 1), "turn", c3=0x80)
    for name, data in vectors:
        if len(data) <= 240:
            yield f"vector-{name}", play(("connect", 0, 0), ("send", 0, 0, 0, BYTES, 0, len(data), data), "turn", **LARGE, c6=2)
