# SPDX-License-Identifier: MIT
"""Writes seeds for the fuzz targets: vectors, commands, samples. usage: seeds.py TESTS_DIR OUT_DIR"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
import seeds_decode
import seeds_path

tests, out = map(pathlib.Path, sys.argv[1:])
V2 = bytes.fromhex("0D0A0D0A000D0A515549540A")


def write(target, name, data):
    (out / target).mkdir(parents=True, exist_ok=True)
    (out / target / name).write_bytes(data)


protocols = [path.stem for path in tests.parent.glob("codecs/*/*.c") if path.stem != "template"
             and f"\nconst struct codec codec_{path.stem} " in path.read_text()]
vectors = sorted([*tests.glob("vectors/*.jsonl"), *(path for name in protocols for path in tests.parent.glob(f"codecs/{name}/{name}.jsonl"))])


for path in vectors:
    for line in path.read_text().splitlines():
        row = json.loads(line)
        data = bytes([4, 20, 5]) + bytes.fromhex("".join(row.get("segments", [row.get("hex")])))
        for target in ("stream", *(name for name in protocols if name in path.stem.split("-"))):
            write(target, f"{path.stem}-{row['name']}", data)
for n, line in enumerate((tests / "commands.jsonl").read_text().splitlines()):
    row = json.loads(line)
    write("request", f"{n}", json.dumps(row["request"]).encode())
write("request", "text", b"S20,000000,1,1")
write("request", "payload", b'{"payload":"S32,000000,1","id":"a1","timeout":30,"hold":3600}')
def counted(text):
    return len(text).to_bytes(2, "big") + text


times = b"".join(n.to_bytes(8, "big") for n in (1800000030000, 30000, 1799999999000, 30000))
write("kept", "request", b"\x02\x02" + times + b"\xff\xff\xff\xff\x00" + b"".join(map(counted, (
    b"D1", b"130305", b"9170503816", b"9170503816", b"D1,130305,0,0", b"*HQ,9170503816,D1,130305,0,0#", b"answers/a", b"x", b"", b""))) + bytes(8))
write("kept", "note", b"\x01s\x00\x00\x00\x05\x01\x02\x03\x02h0")
write("tunnel", "connect", bytes.fromhex("828e00000000100c00044d515454040200 3c0000".replace(" ", "")))
write("tunnel", "named", bytes.fromhex("829400000000101200044d5154540482003c0002696400026d65"))
write("tunnel", "offer", b"permessage-deflate; client_max_window_bits")
good = [b"", b"websocket", b"keep-alive, Upgrade", b"http://a:1", b"a:1", b"13", b"AAAAAAAAAAAAAAAAAAAAAA==", b"mqtt", b"permessage-deflate", b"gzip, br"]
write("http", "handshake", b"\n".join(good))
for path in (b"a.js", b"../a.js", b".hidden", b"%2e%2e/a.js", b"index.html/", b"a.js.gz"):
    write("http", path.replace(b"/", b"-").decode(), b"\n".join([path, *good[1:]]))
write("proxy", "v1", b"PROXY TCP4 203.0.113.4 198.51.100.1 50112 8888\r\n")
write("proxy", "v1-6", b"PROXY TCP6 2001:db8::1 2001:db8::2 50112 8888\r\n*HQ")
write("proxy", "v1-unknown", b"PROXY UNKNOWN\r\n")
write("proxy", "v2", V2 + bytes.fromhex("2111000CCB007104C6336401C3C022B8"))
write("proxy", "v2-6", V2 + bytes.fromhex("21210024") + bytes(32) + bytes.fromhex("C3C022B8"))
write("proxy", "v2-local", V2 + bytes.fromhex("20000000"))
four = b"PROXY TCP4 203.0.113.4 198.51.100.1 50112 8888\r\n*HQ"
six = V2 + bytes.fromhex("21220024") + bytes(32) + bytes.fromhex("C3C022B8") + b"*HQ"
write("proxy", "datagrams", b"".join(bytes([port, len(d)]) + d for port, d in (
    (0, four), (0x10, b"*HQ"), (1, six), (0xf1, b"*HQ"), (0, b"PROXY UNKNOWN\r\n*HQ"), (2, four), (3, six), (0, b"x"))))
write("units", "sample", b"[9170503816]\nname = Van 12\nid = 12\ntype = ST-903\ntopic = van-12\nack = r12\n"
                         b"timezone = +00:00\n")
write("units", "topic-twice", b"[1]\ntopic = a\n[2]\ntopic = b\ntopic = a\ntopic = b\n")
write("config", "sample", (tests.parent / "etc/tracker2mqtt.ini").read_bytes())
write("watch", "position", b'\0{"ident":"9170503816","position.latitude":22.5,"position.longitude":113.9,"position.speed":40.003,'
                           b'"engine.ignition.status":true,"timestamp":1481632506,"rejected":["gsm.mcc"]}')
write("watch", "alarm", b'\2{"alarms":["sos.alarm","custom.theft.alarm"]}')
write("watch", "status", b'\3{"state":"online","since":1.5,"protocol":"h02","transport":"tcp","peer":"[::1]:5"}')
write("watch", "reply", b'\5{"status":"answered","command":"D1","result":"0,0","elapsed":1.42,"id":"a"}')
write("watch", "msgpack", bytes.fromhex("0083A16191C3A162CB3FB999999999999AA163D3FFFFFFFFFFFFFFFF"))
write("topic", "cmd", b"trackers/9170503816/cmd")
for n in range(4):
    write("store", f"whole-{n}", bytes([n, 0]))
    write("store", f"cut-{n}", bytes([n, 230]))
    write("store", f"head-{n}", bytes([n, 0, 0, 5, 0, 8, 4, 1, 2, 3, 4]))
    write("store", f"meta-{n}", bytes([n, 0, 0, 1, 0, 40, 8]) + bytes(8))
    write("store", f"older-{n}", bytes([n, 0, 0, 7, 0, 1, 0x80, 0, 1, 0, 16, 0x42]))
write("assembly", "three-parts", bytes.fromhex("00000301010000" "00000302020000" "00000303030000" "00000303030000"))
rows = [json.loads(line) for path in vectors for line in path.read_text().splitlines()]
for n, data in enumerate(seeds_decode.inputs([row["hex"] for row in rows[::12] if "hex" in row])):
    write("decode", f"{n}", bytes([n % 4]) + data)
for n, row in enumerate(row for row in rows if "hex" in row):
    write("decode", f"explained-{n}", b"\x01" + row["hex"].encode() + b"\n")
some = [(row["name"], bytes.fromhex(row["hex"])) for row in rows[::8] if "hex" in row]
for name, data in seeds_path.plays(some):
    write("path", name, data)
