# SPDX-License-Identifier: MIT
"""Strangers share places by address and leave nothing that lasts; units of the units file always have a place."""

import functools
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest
from conftest import BUILD, PATIENCE, Bridge, Unit, v1, wait_for
from test_jt808 import frame


FAKETIME = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def clock_of(text, **more):
    """The environment in which a program's clocks say something else."""
    assert FAKETIME, "the package faketime is missing: scripts/packages install test"
    return {"LD_PRELOAD": str(FAKETIME), "ASAN_OPTIONS": "verify_asan_link_order=0", **text, **more}


@functools.cache
def clock_program():
    """The program for such clocks: with clang 19, libfaketime and the sanitizer wait for each other before main; then the plain build."""
    try:
        subprocess.run([BUILD / "tracker2mqtt", "--version"], env={**os.environ, **clock_of({"FAKETIME": "+0"})},
                       check=True, capture_output=True, timeout=PATIENCE)
        return [BUILD / "tracker2mqtt"]
    except subprocess.TimeoutExpired:
        if "T2M_PLAIN" not in os.environ:
            pytest.skip("libfaketime needs the build without sanitizers (T2M_PLAIN)")
        return [pathlib.Path(os.environ["T2M_PLAIN"]) / "tracker2mqtt"]


def unit_from(port, source, transport="tcp"):
    """A unit that comes from another address of this machine."""
    unit = Unit.__new__(Unit)
    unit.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM)
    unit.socket.settimeout(30)
    unit.socket.bind((source, 0))
    unit.socket.connect(("127.0.0.1", port))
    unit.peer = "{}:{}".format(*unit.socket.getsockname())
    return unit


def many(first, count):
    return "".join(f"*HQ,{first + n},V0#" for n in range(count))


def heard(unit, count):
    """Reads until so many frames were answered."""
    data = b""
    while data.count(b"#") < count:
        piece = unit.receive()
        assert piece, f"closed after {data.count(b'#')} answers of {count}"
        data += piece


@pytest.fixture
def world(make_bridge, subscribe, tmp_path):
    path = tmp_path / "units.ini"
    path.write_text("[9170503899]\nname = known\n[9170503898]\nname = another\ntopic = 777\n")

    def make(**sections):
        bridge = make_bridge({"units": {"file": path}, **sections})
        bridge.wait_connected()
        return bridge, subscribe()

    return make


def stats(sub, where):
    return sub.on("trackers/bridge/test/stats", where=lambda m: where(m.record))


def test_units_of_one_address_do_not_shut_out_others(world):
    bridge, sub = world(limits={"units": 20})
    crowd = unit_from(bridge.port, "127.0.0.7")
    crowd.send(many(800000, 20))
    heard(crowd, 20)
    again = unit_from(bridge.port, "127.0.0.7")
    again.send(many(900000, 1))
    stats(sub, lambda r: r["refused.units"] >= 1)
    honest = unit_from(bridge.port, "127.0.0.8")
    honest.send(v1("9170503816"))
    assert b"V4,V1" in honest.receive(), "the address with most gives way"
    assert crowd.receive() == b"", "its newest connection"
    for unit in (crowd, again, honest):
        unit.close()


def test_connections_of_one_address_do_not_shut_out_others(world):
    bridge, sub = world(listen={"max_connections": 8})
    crowd = [unit_from(bridge.port, "127.0.0.7") for _ in range(8)]
    for n, unit in enumerate(crowd):
        unit.send(v1(f"917050380{n}"))
        assert b"V4,V1" in unit.receive()
    honest = unit_from(bridge.port, "127.0.0.8")
    honest.send(v1("9170503816"))
    assert b"V4,V1" in honest.receive()
    assert crowd[7].receive() == b"" and honest.socket.gettimeout()
    same = unit_from(bridge.port, "127.0.0.7")
    same.send(v1("9170503817"))
    assert same.receive() == b"", "an address takes no place of its own"
    for unit in (*crowd[:7], honest):
        unit.send(v1("9170503816" if unit is honest else f"917050380{crowd.index(unit)}", "123507"))
        assert b"V4,V1" in unit.receive()
        unit.close()


def test_connections_that_name_no_unit_give_way_within_their_address(world):
    bridge, sub = world(limits={"unidentified": 10})
    quiet = unit_from(bridge.port, "127.0.0.8")
    crowd = [unit_from(bridge.port, "127.0.0.7") for _ in range(30)]
    stats(sub, lambda r: r["refused.unidentified"] >= 20)
    quiet.send(v1("9170503816"))
    assert b"V4,V1" in quiet.receive(), "it came first, from another address"
    for unit in (quiet, *crowd):
        unit.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_units_of_the_units_file_always_have_a_place(world, transport):
    bridge, sub = world(limits={"units": 4}, listen={"max_connections": 4})
    crowd = [Unit(bridge.port, transport) for _ in range(8)]
    for n, unit in enumerate(crowd):
        unit.send(v1(f"917050380{n}"))
    stats(sub, lambda r: r["units.online"] == 4)
    known = Unit(bridge.port, transport)
    known.send(v1("9170503899"))
    assert b"V4,V1" in known.receive()
    for n, unit in enumerate(crowd):  # nobody takes its place again
        unit.send(v1(f"917050380{n}", "123508"))
    known.send(v1("9170503899", "123509"))
    assert b"V4,V1" in known.receive()
    sub.on("trackers/9170503899/position", 2)
    assert not sub.now(lambda m: m.topic == "trackers/9170503899/status" and m.record["state"] == "offline")
    for unit in (*crowd, known):
        unit.close()


def test_a_unit_that_moves_needs_no_new_place(world):
    bridge, sub = world(limits={"units": 3})
    peers = [Unit(bridge.port, "udp") for _ in range(2)]
    for n, peer in enumerate(peers):
        peer.send(v1(f"917050382{n}"))
        assert b"V4,V1" in peer.receive()
    old, new = Unit(bridge.port), Unit(bridge.port)
    old.send(v1("9170503816"))
    assert b"V4,V1" in old.receive()
    new.send(v1("9170503816", "123507"))
    assert b"V4,V1" in new.receive()
    assert old.receive() == b""
    stats(sub, lambda r: r["units.takeovers"] == 1 and r["units.online"] == 3)
    assert not sub.now(lambda m: b'"offline"' in m.payload)
    for unit in (*peers, old, new):
        unit.close()


def test_a_crowd_of_idents_leaves_nothing_retained(world, subscribe):
    bridge, sub = world(homeassistant={"discovery": "yes", "unknown": "yes", "retain": "yes"})
    crowd = Unit(bridge.port)
    crowd.send("".join(v1(f"{800000 + n}") for n in range(400)))
    heard(crowd, 400)
    sub.on("trackers/800399/position")
    known = Unit(bridge.port)
    known.send(v1("9170503899"))
    assert b"V4,V1" in known.receive()
    sub.on("trackers/9170503899/position")
    crowd.close()
    stats(sub, lambda r: r["units.online"] == 1)
    later = subscribe([("trackers/+/status", 1), ("trackers/+/position", 1), ("homeassistant/#", 1)])
    later.on("trackers/9170503899/position")
    later.on("homeassistant/device/tracker2mqtt_9170503899/config")
    kept = {m.topic for m in later.now(lambda m: m.retain and "/80" in m.topic)}
    assert {t for t in kept if t.endswith("/status")} == {f"trackers/{800000 + n}/status" for n in range(50)}, \
        "the first fifty are trusted at once"
    assert len(kept) <= 150
    lines = [line for line in bridge.log().splitlines() if "on line" in line or "off line" in line]
    assert len(lines) < 2 * 50 + 20, "what strangers come and go is not logged line by line"
    known.close()


def test_who_behaves_like_a_unit_is_trusted(broker, subscribe, tmp_path):
    """Several reports over minutes; the program's clocks run sixty times as fast."""
    bridge = Bridge(tmp_path, broker.port, program=clock_program(), environment=clock_of({"FAKETIME": "+0 x60"}),
                    options={"mqtt": {"keepalive": "1h", "connect_timeout": "1h"}})
    bridge.wait_connected()
    crowd = Unit(bridge.port)
    crowd.send("".join(v1(f"{800000 + n}") for n in range(60)))
    heard(crowd, 60)
    unit = Unit(bridge.port)
    sub = subscribe()
    for n in range(12):
        unit.send(v1("9170503816", f"12{n:02}00"))
        assert b"V4,V1" in unit.receive()
        time.sleep(0.5)
    sub.on("trackers/9170503816/position", 12)
    states = sub.on("trackers/9170503816/status", 2)
    assert [m.retain for m in states][:2] == [False, True]
    positions = sub.now(lambda m: m.topic == "trackers/9170503816/position")
    assert not positions[0].retain and positions[-1].retain
    unit.close()
    crowd.close()
    assert bridge.stop() == 0


def test_who_is_forgotten_leaves_nothing(world, subscribe):
    bridge, sub = world(homeassistant={"discovery": "yes", "unknown": "yes", "retain": "yes"})
    units = [Unit(bridge.port) for _ in range(5)]
    for n, unit in enumerate(units):
        unit.send(v1(f"917050380{n}"))
        assert b"V4,V1" in unit.receive()
        sub.on(f"trackers/917050380{n}/position")
    for unit in units[:4]:
        unit.close()
    stats(sub, lambda r: r["units.online"] == 1)
    bridge.sections["units"]["remembered"] = 2
    bridge.write()
    bridge.process.send_signal(signal.SIGHUP)
    for n in range(3):
        sub.on(f"trackers/917050380{n}/status", where=lambda m: m.payload == b"")
    later = subscribe([("trackers/+/status", 1), ("trackers/+/position", 1), ("homeassistant/#", 1)])
    later.on("trackers/9170503804/position")
    later.on("trackers/9170503803/status")
    topics = {m.topic for m in later.now(lambda m: True)}
    for n in range(3):
        assert not {t for t in topics if f"917050380{n}" in t}
    units[4].close()


def test_what_is_remembered_is_remembered_over_a_restart(world, subscribe):
    bridge, sub = world()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816", "123507"))
    assert b"V4,V1" in unit.receive()
    sub.on("trackers/9170503816/position")
    unit.close()
    assert bridge.stop(signal.SIGKILL) != 0
    bridge.start()
    bridge.wait_connected()
    crowd, unit = Unit(bridge.port), Unit(bridge.port)
    crowd.send(many(800000, 60))
    heard(crowd, 60)
    unit.send(v1("9170503816", "123506"))  # an older one, and the first fifty have come
    assert b"V4,V1" in unit.receive()
    at = {text: 1481632500 + int(text[-1]) for text in ("123506", "123508")}  # the first one may come twice
    older = sub.on("trackers/9170503816/position", where=lambda m: m.record["timestamp"] == at["123506"])
    assert not older[0].retain
    unit.send(v1("9170503816", "123508"))
    newer = sub.on("trackers/9170503816/position", where=lambda m: m.record["timestamp"] == at["123508"])
    assert newer[0].retain, "it is trusted from before"
    unit.close()
    crowd.close()


def test_udp_does_not_take_a_unit_from_tcp(world):
    bridge, sub = world()
    unit, forger = Unit(bridge.port), Unit(bridge.port, "udp")
    unit.send(v1("9170503816"))
    assert b"V4,V1" in unit.receive()
    for n in range(3):
        forger.send(v1("9170503816", f"12350{n + 7}"))
        assert b"V4,V1" in forger.receive(), "its record is taken"
        time.sleep(1.1)
    stats(sub, lambda r: r["refused.takeover"] >= 3 and r["units.takeovers"] == 0)
    sub.publish("trackers/9170503816/cmd", "S32,000000,1")
    assert unit.receive() == b"*HQ,9170503816,S32,000000,1#"
    forger.send("*HQ,9170503816,V4,S32,000000,123510,12345678#")
    forger.send(v1("9170503816", "123520"))
    sub.on("trackers/9170503816/position", 5)
    assert not sub.now(lambda m: m.topic.endswith("/cmd/reply") and m.record["status"] == "answered")
    unit.send("*HQ,9170503816,V4,S32,000000,123510,12345678#")
    sub.on("trackers/9170503816/cmd/reply", where=lambda m: m.record["status"] == "answered")
    unit.close()
    forger.close()


def test_takeovers_are_limited_whatever_is_spoken(world):
    bridge, sub = world()
    text, binary = Unit(bridge.port), Unit(bridge.port)

    def heard(unit, data, part):
        """The unit that is answered: itself, or, when the other one took over meanwhile, itself on a new connection."""
        for _ in range(5):
            try:
                unit.send(data)
                said = unit.receive()
                assert part in said or not said
                if said:
                    return unit
            except OSError:
                pass
            unit.close()
            unit = Unit(bridge.port)
        raise AssertionError("nobody answers")

    for n in range(60):
        text = heard(text, v1("13912345678", f"12{n:02}00"), b"V4,V1")
        binary = heard(binary, frame(0x0002, b"", serial=n), b"\x80\x01")
        if n % 10 == 0:  # who was closed comes again
            text.close()
            text = Unit(bridge.port)
    record = stats(sub, lambda r: r["frames"] >= 120)[0].record
    seconds = record["uptime"] + 2
    assert record["units.takeovers"] <= seconds and record["refused.takeover"] > 0
    text.close()
    binary.close()


def test_two_servers_do_not_talk_for_ever(make_bridge, subscribe):
    """A heartbeat with a forged sender: the answer is a heartbeat for the other server."""
    a, b = make_bridge({"publish": {"instance": "a", "prefix": "a"}}), make_bridge({"publish": {"instance": "b", "prefix": "b"}})
    a.wait_connected()
    b.wait_connected()
    sub = subscribe("#")
    for word in ("V0", "HTBT", "XT", "LINK"):
        forged = f"*HQ,5553001,{word}#".encode()
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
            for source, target in ((a, b), (b, a), (a, a)):
                head = source.port.to_bytes(2, "big") + target.port.to_bytes(2, "big")
                raw.sendto(head + (8 + len(forged)).to_bytes(2, "big") + b"\0\0" + forged, ("127.0.0.1", 0))
    before = 0

    def quiet():
        nonlocal before
        time.sleep(1)
        now = len(sub.now(lambda m: "/bridge/" not in m.topic))
        calm, before = now == before and now > 0, now
        return calm

    wait_for(quiet, "silence")
    assert before < 100


def test_an_echo_server_is_not_answered_for_ever(world):
    bridge, sub = world()
    echo = Unit(bridge.port, "udp")
    echo.socket.settimeout(2)
    echo.send("*HQ,5553001,V0#")
    rounds = 0
    try:
        while rounds < 50:
            echo.send(echo.receive())
            rounds += 1
    except TimeoutError:
        pass
    assert 1 <= rounds < 5
    echo.close()


def test_an_echo_server_that_names_a_unit_of_another_is_not_answered_for_ever(world):
    """It gets no unit, so the bridge forgets it after each datagram; but not that it was echoed."""
    bridge, sub = world()
    unit = Unit(bridge.port)
    unit.send(v1("5553002"))
    assert b",V4,V1," in unit.receive()
    echo = Unit(bridge.port, "udp")
    echo.socket.settimeout(2)
    echo.send("*HQ,5553002,V0#")
    answers = 0
    while answers < 20:
        try:
            echo.send(echo.receive())
        except TimeoutError:
            break
        answers += 1
    assert answers == 1
    unit.send(v1("5553002", "123510"))
    assert b",V4,V1," in unit.receive()
    echo.close()
    unit.close()



def test_a_date_ahead_does_not_hold_back_what_follows(world, subscribe):
    bridge, sub = world()
    unit = Unit(bridge.port)

    def report(ahead, latitude):
        g = time.gmtime(time.time() + ahead)
        unit.send(v1("9170503816", time.strftime("%H%M%S", g), time.strftime("%d%m%y", g)).replace("2232.6024", latitude))
        assert b"V4,V1" in unit.receive()

    report(23 * 3600, "2200.0000")
    time.sleep(1.1)
    report(0, "2300.0000")
    sub.on("trackers/9170503816/position", 2)
    later = subscribe("trackers/+/position")
    assert later.on("trackers/9170503816/position")[0].record["position.latitude"] == 23
    unit.close()


def test_an_ident_that_is_the_name_of_another_in_topics_is_refused(world):
    bridge, sub = world()
    honest, stranger = Unit(bridge.port), Unit(bridge.port)
    honest.send(v1("9170503898"))
    assert b"V4,V1" in honest.receive()
    stranger.send(v1("777"))
    stats(sub, lambda r: r["refused.not_admitted"] == 1)
    assert {m.record["ident"] for m in sub.on("trackers/777/position")} == {"9170503898"}
    honest.close()
    stranger.close()


def file_of(path, idents):
    path.write_text("".join(f"[{ident}]\nname = one of many\n" for ident in idents))
    return path


def test_statuses_without_room_are_told_later(broker, make_bridge, subscribe, tmp_path):
    idents = [str(800000 + n) for n in range(1600)]
    bridge = make_bridge({"outbox": {"size": "1M"}, "units": {"file": file_of(tmp_path / "many.ini", idents)},
                          "publish": {"stats_interval": "1h"}})
    bridge.wait_connected()
    units = [Unit(bridge.port) for _ in range(2)]
    for n, unit in enumerate(units):
        unit.send(many(800000 + 800 * n, 800))
        heard(unit, 800)
    broker.stop()
    flood = Unit(bridge.port)
    flood.socket.settimeout(3)
    try:
        for n in range(4000):
            flood.send(v1("9170503816", f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"))
            flood.receive()
    except TimeoutError:
        pass
    assert "the outbox is full" in bridge.log()
    for unit in units:
        unit.close()
    wait_for(lambda: bridge.log().count("off line") >= 1600, "the units to leave")
    broker.start()
    sub = subscribe()
    for ident in idents:
        sub.on(f"trackers/{ident}/status", where=lambda m: m.record["state"] == "offline")
    flood.close()


def test_home_assistant_starts_with_many_units(make_bridge, subscribe, tmp_path):
    idents = [str(800000 + n) for n in range(900)]
    bridge = make_bridge({"homeassistant": {"discovery": "yes"}, "outbox": {"size": "4M"},
                          "units": {"file": file_of(tmp_path / "many.ini", idents)}})
    bridge.wait_connected()
    sub = subscribe([("homeassistant/device/+/config", 1)])
    unit = Unit(bridge.port)
    unit.send("".join(v1(ident) for ident in idents))
    heard(unit, 900)
    sub.wait(lambda m: True, "discovery of each", 900)
    before = len(sub.now(lambda m: True))
    sub.publish("homeassistant/status", "online")
    sub.wait(lambda m: True, "discovery of each again", before + 900)
    told = sub.now(lambda m: True)[before:]
    assert len({m.topic for m in told}) == 900, "each once, though not all of them fit into the outbox at a time"
    unit.close()


def test_the_clock_goes_back_a_day(broker, tmp_path):
    moved = tmp_path / "moved"
    moved.write_text("+0")
    bridge = Bridge(tmp_path, broker.port, program=clock_program(), environment=clock_of({
        "FAKETIME_TIMESTAMP_FILE": str(moved), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1"}))
    bridge.wait_connected()
    unit = Unit(bridge.port)
    import paho.mqtt.publish as publish
    for step in ("+0", "-1d", "+2d", "-400d"):
        moved.write_text(step)
        publish.single("trackers/9170503816/cmd", "S32,000000,1", hostname="127.0.0.1", port=broker.port)
        unit.send(v1("9170503816"))
        unit.receive_until(b"V4,V1")
        unit.send(v1("9170503816", "123507"))
        publish.single("trackers/9170503816/cmd", "S32,000001,1", hostname="127.0.0.1", port=broker.port)
        unit.receive_until(b"S32,000001")
    unit.close()
    assert bridge.stop() == 0


def test_one_address_leaves_room_in_the_outbox_for_others(broker, make_bridge, subscribe):
    bridge = make_bridge({"outbox": {"size": "2M"}, "limits": {"frames_per_unit": 0}})
    bridge.wait_connected()
    broker.stop()
    honest, greedy = unit_from(bridge.port, "127.0.0.8"), unit_from(bridge.port, "127.0.0.7")
    honest.send(v1("9170503816", "120000"))
    assert b"V4,V1" in honest.receive()
    greedy.socket.settimeout(2)
    taken = 0
    try:
        while taken < 4000:
            greedy.send("".join(v1("9170503817", f"{(taken + n) // 3600:02}{(taken + n) // 60 % 60:02}{(taken + n) % 60:02}")
                                for n in range(20)))
            heard(greedy, 20)
            taken += 20
    except TimeoutError:
        pass
    assert 100 < taken < 4000
    for n in range(20):
        honest.send(v1("9170503816", f"1201{n:02}"))
        assert b"V4,V1" in honest.receive(), "the greedy one waits, not the others"
    broker.start()
    sub = subscribe()
    sub.on("trackers/9170503816/position", 20)
    stats(sub, lambda r: r["refused.outbox_share"] > 0)
    greedy.close()
    honest.close()
