# SPDX-License-Identifier: MIT
"""What tracker2mqtt-decode reads, as seeds: each kind of line, and captures of each kind of link."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import captures


def inputs(frames):
    for frame in frames:
        data = bytes.fromhex(frame)
        yield frame.encode() + b"\n"
        yield data
        yield b"2015-09-24 09:41:34 DEBUG: [FEC47FBE: 5001 < 203.0.113.4] HEX: " + frame.encode() + b"\n"
        yield b"const uint8_t f[] = {\n" + b",".join(b"0x%02x" % c for c in data) + b"\n};\n"
        yield b'trackers/1/raw {"direction":"in","hex":"' + frame.encode() + b'","text":""}\n'
        yield b"frame from 203.0.113.4:1 (1) rejected: bad-fields: " + b"".join(b"\\x%02x" % c for c in data) + b"\n"
        for link in captures.LINKS:
            yield captures.pcap([(0, captures.tcp(data[:9], 1)), (1, captures.tcp(data[9:], 10))], link)
            yield captures.pcapng([(0, captures.udp(data))], link)
