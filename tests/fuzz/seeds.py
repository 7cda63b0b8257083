"""Writes the vectors as seeds for fuzz_stream. usage: seeds.py VECTORS_DIR OUT_DIR"""

import json
import pathlib
import sys

vectors, out = map(pathlib.Path, sys.argv[1:])
out.mkdir(parents=True, exist_ok=True)
for path in sorted(vectors.glob("*.jsonl")):
    for line in path.read_text().splitlines():
        row = json.loads(line)
        data = bytes.fromhex("".join(row.get("segments", [row.get("hex")])))
        (out / f"{path.stem}-{row['name']}").write_bytes(bytes([4, 20, 5]) + data)
