"""Writes Sources/Text/Pipeline/Normalizers/CompatibilityTable.swift: the compatibility decompositions of the `tokenizers` library.

    python Tests/Fixtures/make/compatibility_table.py

Needs tokenizers (written with 0.23.3).
"""

import base64
from pathlib import Path

from tokenizers import normalizers

OUTPUT = Path(__file__).resolve().parents[3] / "Sources/Text/Pipeline/Normalizers/CompatibilityTable.swift"

HEAD = '''/// What scalars become under NFKD that NFD leaves as they are. Written by `Tests/Fixtures/make/compatibility_table.py` from
/// the `tokenizers` library's own tables, which are of Unicode 9.0.
///
/// Runs of scalars: how many scalars lie between the last run and this, how many it has, the length of what its first
/// becomes in UTF-8, and that. What the others of a run become follows on it scalar by scalar. Numbers are little-endian
/// in groups of seven bits, the highest bit of a byte saying that another follows; all of it is in Base64.
enum CompatibilityTable {
    static let runs = """
'''


def number(value):
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


def rows():
    compatible, canonical = normalizers.NFKD(), normalizers.NFD()
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            text = compatible.normalize_str(chr(code))
            if text != canonical.normalize_str(chr(code)):
                yield code, text


def main():
    runs = []
    for code, text in rows():
        if runs:
            start, count, first = runs[-1]
            if code == start + count and len(first) == len(text) == 1 and ord(text) == ord(first) + count:
                runs[-1][1] += 1
                continue
        runs.append([code, 1, text])
    data, end = b"", 0
    for start, count, text in runs:
        data += number(start - end) + number(count) + number(len(text.encode())) + text.encode()
        end = start + count
    encoded = base64.b64encode(data).decode()
    lines = [f"        {encoded[i : i + 108]}" for i in range(0, len(encoded), 108)]
    OUTPUT.write_text(HEAD + "\\\n".join(lines) + "\n        \"\"\"\n}\n")


main()
