# SPDX-License-Identifier: MIT
"""tracker2mqtt-decode reads what people have, shows records for people, and explains each range of bytes of a frame."""

import json
import re
import struct
import subprocess

import pytest
from captures import LINKS, SERVER, SERVER6, UNIT, UNIT6, pcap, pcapng, tcp, udp
from conftest import BUILD, ROOT, v1

DECODE = BUILD / "tracker2mqtt-decode"
TEXT = v1("9170503816")
HEX = TEXT.encode().hex()
VECTORS = [(path.stem, json.loads(line)) for path in sorted(ROOT.glob("tests/vectors/*.jsonl")) for line in path.read_text().splitlines()]
BINARY = next(row for name, row in VECTORS if name == "h02-binary" and row["records"] and len(row["hex"]) == 90)
LOCATION = next(row for name, row in VECTORS if name == "jt808" and row["records"] and row["records"][0]["message.type"] == "0x0200")


def run(data, *args):
    return subprocess.run([DECODE, *args], input=data if isinstance(data, bytes) else data.encode(), capture_output=True, timeout=60)


def records(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def good(result):
    assert result.returncode == 0 and result.stderr == b"", result.stderr.decode()
    return records(result)


def idents(result):
    return [r["ident"] for r in good(result)]


# --- lines ---


def spaced(separator, prefix="", text=HEX):
    return separator.join(prefix + text[i:i + 2] for i in range(0, len(text), 2))


LINES = {
    "hex": HEX,
    "upper-case hex": HEX.upper(),
    "hex with blanks": spaced(" "),
    "hex with colons": spaced(":"),
    "hex with dashes": spaced("-"),
    "0x in front of all": "0x" + HEX,
    "0x in front of each": spaced(" ", "0x"),
    "0x and commas": spaced(", ", "0x"),
    r"\x": '"' + spaced("", r"\x") + '"',
    "C array": "static const uint8_t frame[] = {" + spaced(", ", "0x") + "};",
    "C array in several lines": "uint8_t frame[] = {\n  " + spaced(",\n  ", "0x") + ",\n};",
    "C array with comments": "uint8_t frame[] = { // the frame\n" + spaced(", // 1\n", "0x") + " /\n".replace(" /\n", "\n") + "};",
    "C array of decimal numbers": "{" + ", ".join(str(c) for c in TEXT.encode()) + "}",
    "C array that is not closed": "uint8_t frame[] = {\n" + spaced(", ", "0x"),
    "short 0x": "{" + ", ".join(hex(c) for c in TEXT.encode()) + "}",
    "Traccar 2013": f"2013-04-07 18:16:38 org.traccar.BasePipelineFactory$StandardLoggingHandler.log FINE: [5003 <- 203.0.113.4] - (HEX: {HEX})",
    "Traccar 2014": f"2014-02-28 18:00:27 DEBUG: [5036 <- 203.0.113.4] - HEX: {HEX}",
    "Traccar 2015": f"2015-09-24 09:41:34 DEBUG: [FEC47FBE: 5001 < 203.0.113.4] HEX: {HEX}",
    "Traccar's line alone": f"[Tcafe01: h02 < 203.0.113.4] HEX: {HEX}",
    "Traccar 2024": f"2024-05-06 10:11:12  INFO: [T1234abcd: h02 < 203.0.113.4] {HEX}",
    "Traccar, IPv6": f"2024-05-06 10:11:12  INFO: [T1234abcd: h02 < 2001:db8:0:0:0:0:0:4] {HEX}",
    "Traccar, text": f"2024-05-06 10:11:12  INFO: [T1234abcd: h02 < 203.0.113.4] {TEXT}",
    "Traccar, TXT": f"2019-05-06 10:11:12  INFO: [1234abcd: h02 < 203.0.113.4] TXT: {TEXT}",
    "raw topic": json.dumps({"direction": "in", "hex": HEX.upper(), "text": TEXT}),
    "raw topic, mosquitto_sub -v": "trackers/9170503816/raw " + json.dumps({"direction": "in", "hex": HEX.upper(), "text": TEXT}),
    "raw topic, mosquitto_sub -F %j": json.dumps({"topic": "trackers/1/raw", "payload": {"direction": "in", "hex": HEX}}),
    "raw topic, its message as text": json.dumps({"topic": "trackers/1/raw", "payload": json.dumps({"direction": "in", "hex": HEX})}),
    "unknown topic": "trackers/bridge/unknown " + json.dumps({"peer": "203.0.113.4:5", "transport": "tcp", "hex": HEX, "text": TEXT}),
    "own log": f"2026-11-25T10:11:12.123Z notice: frame from 203.0.113.4:5 (9170503816) rejected: bad-fields: {TEXT}"
               "; more from this connection only at level debug",
    "own log, journal": "Nov 25 10:11:12 host tracker2mqtt[321]: frame from 203.0.113.4:5 (not identified) rejected: refused: " + TEXT,
    "own log, unknown": f"2026-11-25T10:11:12.123Z notice: 203.0.113.4:5 over udp speaks no known protocol: {TEXT}",
    "own log, escaped": "2026-11-25T10:11:12.123Z notice: 203.0.113.4:5 over udp speaks no known protocol: " + spaced("", r"\x"),
    "own log, hex": f"2026-11-25T10:11:12.123Z notice: 203.0.113.4:5 over udp speaks no known protocol: {HEX.upper()}",
    "own log, a name": f"2026-11-25T10:11:12.123Z notice: 203.0.113.4:5 over udp looks like X: set it: to H02: {HEX.upper()}",
    "text": TEXT,
}


@pytest.mark.parametrize("name", LINES)
def test_each_kind_of_line(name):
    assert idents(run(LINES[name] + "\n")) == ["9170503816"]


def test_all_kinds_in_one_file():
    text = "# a comment\n\n  // another\n; and one\n" + "\n".join(LINES[n] for n in LINES if "not closed" not in n) + "\n"
    assert idents(run(text)) == ["9170503816"] * (len(LINES) - 1)


@pytest.mark.parametrize("kind,names", [("hex", ("hex", "0x and commas", "C array in several lines")), ("traccar", ("Traccar 2014", "Traccar 2024")),
                                        ("json", ("raw topic", "raw topic, mosquitto_sub -v")), ("log", ("own log",)), ("text", ("text",))])
def test_a_kind_of_line_that_is_forced(kind, names):
    assert idents(run("\n".join(LINES[n] for n in names) + "\n", "--input", kind)) == ["9170503816"] * len(names)
    if kind == "text":
        return
    wrong = run("hello there\n", "--input", kind)
    assert wrong.returncode == 1 and wrong.stderr == b"stdin:1: not a line of the kind that --input names\n" and wrong.stdout == b""


def test_what_the_server_sent_is_not_decoded():
    lines = [f"2024-05-06 10:11:12  INFO: [T1234abcd: h02 > 203.0.113.4] {HEX}", f"[5036 -> 203.0.113.4] - HEX: {HEX}",
             json.dumps({"direction": "out", "hex": HEX}), "trackers/1/position " + json.dumps({"ident": "1", "position.speed": 1}),
             "2024-05-06 10:11:12  INFO: [T1234abcd] id: 9170503816, time: 2024-05-06 10:11:00, lat: 1.00000, lon: 2.00000",
             "2024-05-06 10:11:12  INFO: [T1234abcd] connected", "2026-11-25T10:11:12.123Z info: unit 9170503816 is on line"]
    assert good(run("\n".join(lines) + "\n")) == []


def test_a_frame_that_stands_in_two_lines_of_one_connection():
    half = len(HEX) // 4 * 2
    lines = [f"2024-05-06 10:11:12  INFO: [T0000000{n}: h02 < 203.0.113.4] {part}"
             for part, n in ((HEX[:half], 1), (v1("9170503817").encode().hex()[:half], 2), (HEX[half:], 1),
                             (v1("9170503817").encode().hex()[half:], 2))]
    assert idents(run("\n".join(lines) + "\n")) == ["9170503816", "9170503817"]


def test_binary_frames_of_traccar_are_whole_at_the_end_of_a_line():
    line = f"2024-05-06 10:11:12  INFO: [T00000001: h02 < 203.0.113.4] {BINARY['hex'].lower()}\n"
    assert len(good(run(line * 2))) == 2


def test_a_line_that_is_wrong_is_told_with_its_place():
    bad = "*HQ,9170503816,V1,x#"
    result = run(f"# one\n{HEX}\n2024-05-06 10:11:12  INFO: [T00000001: h02 < 203.0.113.4] {bad}\n{json.dumps({'hex': bad.encode().hex()})}\n"
                 "GET / HTTP/1.1\n")
    assert result.returncode == 1 and len(records(result)) == 1
    assert result.stderr.decode().splitlines() == [
        f"stdin:3: T00000001: h02 < 203.0.113.4: bad-fields at byte 0: {bad}", f"stdin:4: bad-fields at byte 0: {bad}",
        "stdin:5: unknown at byte 0: GET / HTTP/1.1"]


def test_bytes_that_a_line_shows_only_in_part():
    result = run("2026-11-25T10:11:12.123Z notice: frame from 203.0.113.4:5 (1) rejected: oversize: *HQ,9170503816,V1,12...\n")
    assert result.returncode == 1 and b"stdin:1: the line shows only the beginning of these bytes\n" in result.stderr


def test_a_line_without_end():
    result = run(b"a" * 300000 + b"\n" + TEXT.encode() + b"\n")
    assert result.returncode == 1 and [r["ident"] for r in records(result)] == ["9170503816"]
    assert result.stderr == b"stdin:1: the line is longer than 131072 bytes: it is left out\n"


@pytest.mark.parametrize("args", [("--raw",), ("--input", "raw"), ()])
def test_the_bytes_of_a_connection(args):
    data = bytes.fromhex(BINARY["hex"]) + TEXT.encode() + bytes.fromhex(BINARY["hex"])
    assert idents(run(data, *args)) == [BINARY["records"][0]["ident"], "9170503816", BINARY["records"][0]["ident"]]


# --- captures ---


@pytest.mark.parametrize("link,v6", [(link, v6) for link in LINKS for v6 in (False, True) if link != "ipv4" or not v6])
@pytest.mark.parametrize("make", [pcap, pcapng])
def test_each_kind_of_link(link, v6, make):
    ends = (UNIT6, SERVER6) if v6 else (UNIT, SERVER)
    data = make([(0, tcp(TEXT.encode(), 7, *ends)), (1, udp(v1("9170503817").encode(), *ends))], link)
    assert sorted(idents(run(data))) == ["9170503816", "9170503817"]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nano", [False, True])
def test_byte_orders_and_fractions(order, nano):
    assert idents(run(pcap([(0.5, udp(TEXT.encode()))], order=order, nano=nano))) == ["9170503816"]
    assert idents(run(pcapng([(0.5, udp(TEXT.encode()))], order=order))) == ["9170503816"]


def pieces(count, size, start=2**32 - 50):
    """Segments of `count` frames, whose sequence numbers pass the end of their range."""
    data = b"".join(v1(str(9170000000 + n)).encode() for n in range(count))
    return [(start + at, data[at:at + size]) for at in range(0, len(data), size)], [str(9170000000 + n) for n in range(count)]


@pytest.mark.parametrize("disorder", ["none", "repeated", "overlapping", "swapped", "reversed", "in one piece"])
def test_tcp_is_put_in_order(disorder):
    parts, want = pieces(12, 40 if disorder != "in one piece" else 100000)
    first = [(parts[0][0] - 1, b"")]
    if disorder == "repeated":
        parts = [p for part in parts for p in (part, part)] + parts[:3]
    elif disorder == "overlapping":
        whole = b"".join(d for _, d in parts)
        start = parts[0][0]
        parts = [(s, whole[s - start:s - start + 75]) for s, _ in parts]
    elif disorder == "swapped":
        for n in range(0, len(parts) - 1, 2):
            parts[n], parts[n + 1] = parts[n + 1], parts[n]
    elif disorder == "reversed":
        parts = parts[::-1]
    packets = [(0, tcp(b"", first[0][0], flags="S")), *((n, tcp(data, sequence)) for n, (sequence, data) in enumerate(parts, 1))]
    assert idents(run(pcap(packets))) == want


def test_what_was_not_captured_is_told_and_the_rest_decoded():
    parts, want = pieces(5, len(TEXT), 1)
    packets = [(n, tcp(data, sequence)) for n, (sequence, data) in enumerate(parts)]
    result = run(pcap([packets[0], *packets[2:]]))
    assert [r["ident"] for r in records(result)] == [want[0], *want[2:]] and result.returncode == 0
    assert f"{len(TEXT)} bytes are missing in the capture" in result.stderr.decode()
    cut = run(pcap(packets, snaplen=100))
    assert b"bytes are missing in the capture" in cut.stderr and cut.returncode == 1


def test_more_segments_than_are_kept_before_their_turn():
    parts, want = pieces(300, len(TEXT), 1)
    packets = [(0, tcp(parts[0][1], 1)), *((n, tcp(data, sequence)) for n, (sequence, data) in enumerate(parts[2:], 1))]
    result = run(pcap(packets))
    assert [r["ident"] for r in records(result)] == [want[0], *want[2:]]


def test_only_the_unit_is_decoded():
    answer = b"*HQ,9170503816,V4,V1,20261125101112#"
    packets = [(0, tcp(b"", 9, flags="S")), (0, tcp(b"", 99, SERVER, UNIT, "SA")), (1, tcp(TEXT.encode(), 10)), (2, tcp(answer, 100, SERVER, UNIT)),
               (3, tcp(b"", 10 + len(TEXT), flags="FA"))]
    assert [r["message.type"] for r in good(run(pcap(packets)))] == ["V1"]
    assert [r["message.type"] for r in good(run(pcap(packets[2:])))] == ["V1"], "who speaks first is the unit"
    assert [r["message.type"] for r in good(run(pcap(packets), "--port", str(SERVER[1])))] == ["V1"]
    assert [r["message.type"] for r in good(run(pcap(packets), "--port", str(UNIT[1])))] == ["V4"]


def test_two_connections_side_by_side_and_one_after_the_other():
    other = ("203.0.113.5", 50113)
    packets = [(0, tcp(TEXT[:30].encode(), 1)), (1, tcp(v1("9170503817")[:30].encode(), 1, other)), (2, tcp(TEXT[30:].encode(), 31)),
               (3, tcp(v1("9170503817")[30:].encode(), 31, other)), (4, tcp(b"", 900000, flags="S")), (5, tcp(v1("9170503818").encode(), 900001))]
    assert idents(run(pcap(packets))) == ["9170503816", "9170503817", "9170503818"]


def test_binary_frames_that_a_pause_divides():
    frame = bytes.fromhex(BINARY["hex"])
    packets = [(10 * n, tcp(frame, 1 + n * len(frame))) for n in range(3)]
    assert len(good(run(pcap(packets)))) == 3


def test_strangers_in_a_capture_are_told_but_are_no_failure():
    web = [(0, tcp(b"GET / HTTP/1.1\r\n\r\n", 1, ("203.0.113.9", 40000), (SERVER[0], 80)))]
    result = run(pcap([(0, udp(TEXT.encode())), *web]))
    assert result.returncode == 0 and [r["ident"] for r in records(result)] == ["9170503816"]
    assert "tcp 203.0.113.9:40000 > 198.51.100.1:80: unknown at byte 0: GET / HTTP/1.1" in result.stderr.decode()
    alone = run(pcap(web))
    assert alone.returncode == 1 and b"stdin: bytes of no known protocol\n" in alone.stderr


def test_where_a_wrong_frame_stands_in_a_capture():
    result = run(pcap([(0, udp(TEXT.encode())), (1, udp(b"*HQ,9170503816,V1,x#"))]))
    assert result.returncode == 1
    assert result.stderr.decode() == ("stdin:2: udp 203.0.113.4:50112 > 198.51.100.1:8888: bad-fields at byte "
                                      f"{len(TEXT)}: *HQ,9170503816,V1,x#\n")


def test_captures_that_are_damaged():
    whole = pcap([(0, udp(TEXT.encode())), (1, udp(TEXT.encode()))])
    for cut in range(5, len(whole) - 1, 7):
        result = run(whole[:cut])
        assert result.returncode in (0, 1) and len(records(result)) == (cut >= 24 + (len(whole) - 24) // 2), cut
    assert b"stdin: the capture ends within a packet\n" in run(whole[:-1]).stderr
    long = bytearray(whole)
    long[32:36] = b"\xff" * 4
    assert b"stdin: the capture is damaged: a packet is longer than any can be\n" in run(bytes(long)).stderr
    assert b"save it as pcap (tcpdump -w, or editcap -F pcap)" in run(b"\x01\x02\x03\x04" * 20, "--input", "pcap").stderr
    link = bytearray(whole)
    link[20:24] = struct.pack("<I", 105)
    assert b"stdin: packets of link type 105 are not decoded" in run(bytes(link)).stderr


# --- for people ---


def shown(data, *args):
    """The lines of --explain, by frame: (offsets, bytes as shown, name, value)."""
    result = run(data, "--explain", *args)
    assert result.returncode in (0, 1), result.stderr.decode()
    return result.stdout.decode().split("\n\n")[:-1]


ROW = re.compile(r"  (\d+)(?:-(\d+))?\s+(.*)")


def tiles(block, frame):
    """Each byte of the frame is shown, but for what separates fields; what is shown stands there. Returns the names."""
    text = all(0x20 <= c < 0x7f or c in (9, 10, 13) for c in frame)
    covered, names, size, at = set(), [], 0, 0
    for line in block.splitlines()[1:]:
        if line.startswith("  the message of all parts"):
            break
        row = ROW.fullmatch(line)
        rest = line[13:]
        if row:
            at, size = int(row[1]), int(row[2] or row[1]) + 1 - int(row[1])
            covered |= set(range(at, at + size))
            names.append(re.split(r"  +", rest[35:].strip())[0])
        elif not line.startswith(" " * 13) or not rest[:35].strip():
            continue
        part = rest[:35].rstrip()
        if text:
            raw = re.sub(rb"\\x(..)", lambda m: bytes.fromhex(m[1].decode()), part.encode())
        else:
            raw = bytes.fromhex(part)
        assert frame[at:at + len(raw)].rstrip() == raw.rstrip(), line
        at += len(raw) if not text else min(33, size)
        size -= min(33, size) if text else len(raw)
    missing = [n for n in range(len(frame)) if n not in covered]
    assert all(frame[n:n + 1] in b", " for n in missing), (missing, block)
    return names


def twice(block):
    """What is told of the same bytes more than once: a list is read twice, but told once."""
    told, found = set(), []
    for line in block.splitlines()[1:]:
        name = re.split(r"  +", line[48:].strip())[0]
        told = set() if ROW.fullmatch(line) else told
        found += [name] if name and name in told else []
        told.add(name)
    return found


@pytest.mark.parametrize("name,row", [(f"{stem}-{row['name']}", row) for stem, row in VECTORS if "hex" in row])
def test_every_frame_of_the_vectors_is_explained(name, row):
    frame = bytes.fromhex(row["hex"])
    blocks = shown(row["hex"] + "\n", *(("--ident", row["ident"]) if row.get("ident") else ()))
    for block in blocks:
        size = int(re.search(r", (\d+) bytes: ", block.splitlines()[0])[1])
        place = next(n for n in range(len(frame) - size + 1)
                     if covers(block, frame[n:n + size]))
        names = tiles(block, frame[place:place + size])
        assert twice(block) == [], block
        if row["records"] and "error" not in row:
            assert "not understood" not in names, block
    if row["records"] and "error" not in row:
        assert blocks and any(key in blocks[0] for key in ("ident", "start")), "something is explained"


def covers(block, frame):
    try:
        tiles(block, frame)
    except (AssertionError, ValueError):
        return False
    return True


def row_of(block, name):
    return next(line.split() for line in block.splitlines() if f" {name} " in line + " ")


def test_an_h02_binary_frame():
    block, = shown("2491705038161235061312162232602406113557983E021090FFFFFBFFFF001F0A0000000501CC00286610BB0A\n")
    lines = block.splitlines()
    assert lines[0] == "stdin:1: h02, 45 bytes: ok"
    want = {"ident": "1-5 91 70 50 38 16 ident 9170503816", "timestamp": "6-11 12 35 06 13 12 16 timestamp 1481632506 s, 2016-12-13T12:35:06Z",
            "position.latitude": "12-15 22 32 60 24 position.latitude 22.5433733 deg",
            "battery.level": "16 06 battery.level 100 %", "vehicle.state": "25-28 FF FF FB FF vehicle.state FFFFFBFF",
            "gsm.signal.level": "31 1F gsm.signal.level 100 %", "position.satellites": "32 0A position.satellites 10",
            "vehicle.mileage": "33-36 00 00 00 05 vehicle.mileage 5 km", "gsm.mcc": "37-38 01 CC gsm.mcc 460", "gsm.mnc": "39 00 gsm.mnc 0",
            "gsm.lac": "40-41 28 66 gsm.lac 10342", "gsm.cellid": "42-43 10 BB gsm.cellid 4283", "event.seqnum": "44 0A event.seqnum 10"}
    for name, line in want.items():
        assert " ".join(row_of(block, name)) == line


def test_a_jt808_frame_with_escapes_is_explained_where_its_bytes_stand():
    body = bytes.fromhex("00000000000C0003015803F606CA9B5E007E003C005A161213123506" + "0104000001F4" + "EB0201FF")
    plain = bytes.fromhex("0200") + len(body).to_bytes(2, "big") + bytes.fromhex("0139123456780001") + body
    check = 0
    for c in plain:
        check ^= c
    frame = b"\x7e" + (plain + bytes([check])).replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"
    block, = shown(frame.hex() + "\n")
    tiles(block, frame)
    assert " ".join(row_of(block, "position.altitude")) == "29-31 00 7D 02 position.altitude 126 m"
    assert " ".join(row_of(block, "position.speed")) == "32-33 00 3C position.speed 6 km/h"
    assert " ".join(row_of(block, "vehicle.mileage")) == "44-47 00 00 01 F4 vehicle.mileage 50 km"
    assert " ".join(row_of(block, "custom.item.0xEB")) == "50-51 01 FF custom.item.0xEB"
    assert "bit 0: engine.ignition.status" in block and "true: ignition (ACC) is on" in block
    wrong = bytearray(frame)
    wrong[45] ^= 1
    block, = shown(bytes(wrong).hex() + "\n")
    assert " ".join(row_of(block, "message")) == "1-2 02 00 message id" and "check code, wrong" in block
    assert block.splitlines()[-1] == "  bad-checksum: the check code is wrong" and "13-" in row_of(block, "not understood")[0]


def test_the_bits_of_an_h02_status_are_named_and_a_low_battery_that_two_of_them_tell_is_shown_once():
    antenna = {6: "custom.antenna.short.alarm", 5: "custom.antenna.open.alarm"}
    for word, bits in (("FFFFFB9F", (6, 5)), ("FFFFFBBF", (6,)), ("FFFFFBDF", (5,)), ("FFFFFBFF", ())):
        blocks = {message: shown(f"*HQ,9170503816,{message},123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,{word}#\n")[0]
                  for message in ("V1", "V6")}
        named = {message: re.findall(r"bit (\d+): (\S+) +true", block) for message, block in blocks.items()}
        assert named == {"V1": [(str(bit), antenna[bit]) for bit in bits], "V6": []}
        assert len(re.findall(r"battery\.low\.alarm +true", blocks["V6"])) == (1 if bits else 0)
        assert "battery.low.alarm" not in blocks["V1"] and "antenna.short.alarm" not in blocks["V6"]


def test_values_of_each_record_of_a_list_are_its_own():
    row = next(row for name, row in VECTORS if name == "jt808" and len(row["records"]) > 1 and "hex" in row)
    block = shown(row["hex"] + "\n")[0]
    latitudes = re.findall(r"position\.latitude +(\S+) deg", block)
    assert [float(v) for v in latitudes] == [r["position.latitude"] for r in row["records"] if "position.latitude" in r]


@pytest.mark.parametrize("text,understood,reason", [
    ("*HQ,9170503816,V1,123506,A,9532.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#", ["ident", "timestamp"],
     "bad-latitude: the latitude is impossible"),
    ("*HQ,9170503816,V1,123506,A,2232.6024,N#", ["ident", "message.type"], "bad-fields: the fields do not follow the layout of this message type"),
    ("*HQ,9170503816,V1,123506,A,2232.6024,N,11355.7983,E,021.60", ["ident", "message.type", "position.speed"],
     "no-terminator: the frame has no end mark: it was cut, or the next one begins within it"),
    ("249170503816123506131216223260", ["ident", "timestamp"], "truncated: the frame ends too early"),
    ("*HQ,91705O3816,V1,123506#", ["vendor.code", "not understood"],
     "bad-id: the id of the unit is not made of digits, or too long"),
])
def test_a_wrong_frame_is_explained_up_to_where_it_was_understood(text, understood, reason):
    block, = shown(text + "\n")
    frame = bytes.fromhex(text) if text[0] != "*" else text.encode()
    names = tiles(block, frame)
    assert set(understood) <= set(names), block
    assert block.splitlines()[-1] == "  " + reason
    result = run(text + "\n", "--explain")
    assert result.returncode == 1 and result.stderr.decode().startswith(f"stdin:1: {reason.split(':')[0]} at byte 0: ")


def test_no_value_of_the_frame_before_is_shown():
    good_frame = "*HQ,9170503816,V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#"
    blocks = shown(f"{good_frame}\n*HQ,9170503817,V1,123506,A,9532.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#\n")
    assert "22.5433733" in blocks[0] and "22.5433733" not in blocks[1] and "9170503816" not in blocks[1].replace("\n", " ")


def jt808(message, body, parts="", serial=1):
    plain = bytes.fromhex(message) + (len(body) | (0x2000 if parts else 0)).to_bytes(2, "big") + bytes.fromhex("013912345678")
    plain += serial.to_bytes(2, "big") + bytes.fromhex(parts) + body
    check = 0
    for c in plain:
        check ^= c
    return b"\x7e" + (plain + bytes([check])).replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"


def test_a_message_in_several_parts():
    body = bytes.fromhex("00000000000C0003015803F606CA9B5E007E003C005A161213123506" + "0104000001F4")
    frames = [jt808("0200", body[:20], "00020001", 1), jt808("0200", body[20:], "00020002", 2)]
    blocks = shown("\n".join(f.hex() for f in frames) + "\n")
    assert "fragment: the frame is one part of a message, and other parts are missing" in blocks[0]
    assert [" ".join(row_of(b, "this")[1:]) for b in blocks] == ["00 01 this part 1", "00 02 this part 2"]
    head, whole = blocks[1].split("  the message of all parts, 34 bytes\n")
    assert " ".join(row_of(whole, "position.latitude")) == "8-11 01 58 03 F6 position.latitude 22.545398 deg"
    assert " ".join(row_of(whole, "vehicle.mileage")) == "30-33 00 00 01 F4 vehicle.mileage 50 km"
    assert "body of this part" in head and "unknown" not in blocks[0] + blocks[1]


NAMELESS = ["787822221a030e0f091ac905472ec601c81ed12b150f00e60128a1001f4001000000015a160d0a",
            next(row["hex"] for name, row in VECTORS if name == "h02-binary" and row["hex"].startswith("58") and row.get("ident"))]


@pytest.mark.parametrize("hexa", NAMELESS)
def test_a_frame_that_names_no_unit_is_explained_as_with_a_unit(hexa):
    block, = shown(hexa + "\n")
    named, = shown(hexa + "\n", "--ident", "9170503816")
    assert block.splitlines()[1:-1] == named.splitlines()[1:] and block.endswith("none is known from a frame before")
    result = run(hexa + "\n")
    assert result.returncode == 1 and result.stdout == b"" and result.stderr.decode().endswith("; --ident IDENT names the unit of such frames\n")


@pytest.mark.parametrize("size", range(5))
def test_a_whole_frame_whose_content_is_wrong_is_explained(size):
    """Its texts stand in memory of the codec: they are read before the codec returns."""
    types = sorted({row["hex"][2:6].upper() for name, row in VECTORS if name == "jt808" and row["records"] and row["hex"].lower().startswith("7e")})
    assert len(types) > 10
    refused = 0
    for message in types:
        result = run(jt808(message, bytes(range(3, 3 + size))).hex() + "\n", "--explain")
        block = result.stdout.decode()
        assert row_of(block, "message id")[1:3] == [message[:2], message[2:]], block
        status = re.search(r"bytes: ([a-z-]+)$", block, re.M)[1]
        assert result.stderr.decode().startswith(f"stdin:1: {status} at byte 0: " if result.returncode else "") and result.returncode in (0, 1)
        refused += result.returncode
    assert refused > 0 or size > 3


@pytest.mark.parametrize("hexa", [BINARY["hex"], LOCATION["hex"], HEX])
def test_pretty_shows_what_programs_get(hexa):
    record, = good(run(hexa + "\n"))
    result = run(hexa + "\n", "--pretty")
    assert result.returncode == 0 and result.stderr == b""
    lines = result.stdout.decode().splitlines()
    assert lines[0] == "stdin:1:" and lines[-1] == ""
    folded = [line for line in lines if line.startswith("  false: ")]
    assert len(folded) == 1 and folded[0][9:].split(", ") == [key for key, value in record.items() if value is False]
    rows = {line.split()[0]: line for line in lines[1:-1] if line not in folded}
    assert list(rows) == [key for key, value in record.items() if value is not False]
    for key, value in record.items():
        if isinstance(value, bool):
            continue
        said = rows[key].split()[1].rstrip(",")
        assert said == value.split()[0] if isinstance(value, str) else float(said) == value, rows[key]
    assert rows["position.speed"].split()[2] == "km/h" and rows["position.speed"].endswith("  speed")
    assert re.search(r"\d+ s, 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ +time of the report", rows["timestamp"])


def test_pretty_and_explain_together():
    out = run(HEX + "\n", "--pretty", "--explain").stdout.decode()
    assert "stdin:1: h02, " in out and "stdin:1:\n" in out and "  false: " in out


def test_options_that_are_not_allowed():
    for args, line in ((("--input", "xml"), "--input xml is not allowed; allowed: auto, pcap, raw, traccar, json, log, hex or text"),
                       (("--port", "0"), "--port 0 is not allowed; allowed: 1 to 65535"),
                       (("--port", "80x"), "--port 80x is not allowed; allowed: 1 to 65535"),
                       (("--format", "msgpack", "--pretty"),
                        "--format msgpack goes neither with --pretty nor with --explain: they are for people")):
        result = run(b"", *args)
        assert result.returncode == 1 and result.stderr.decode() == line + "\n" and result.stdout == b""
