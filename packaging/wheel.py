#!/usr/bin/env python3
"""wheel.py BUNDLE VERSION FOLDER: the wheel of the programs in BUNDLE and of packaging/wheel/dora_serve."""
import base64
import csv
import hashlib
import io
import os
import platform
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
# Commands that are other names of one program; a wheel has no links.
COMMANDS = ["generate", "pack", "serve"]

METADATA = """\
Metadata-Version: 2.1
Name: dora-serve
Version: {version}
Summary: Serve DoRA and LoRA adapters from a CPU: the programs, and a client
License: Apache-2.0
Requires-Python: >=3.9
Classifier: License :: OSI Approved :: Apache Software License
Classifier: Operating System :: POSIX :: Linux
Classifier: Typing :: Typed
Description-Content-Type: text/markdown

{description}"""


def glibc(files: list[Path]) -> str:
    """The oldest C library that has all symbols that the files ask for."""
    versions = set()
    for file in files:
        symbols = subprocess.run(["objdump", "-T", file], check=True, capture_output=True, text=True).stdout
        versions |= {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([0-9]+\.[0-9]+)", symbols)}
    return "{}_{}".format(*max(versions)[:2])


class Wheel:
    """A zip archive with a list of its files, the same bytes for the same contents."""

    def __init__(self, path: Path, name: str):
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9)
        self.info = name + ".dist-info"
        self.data = name + ".data"
        self.rows: list[tuple[str, str, object]] = []
        self.date = time.gmtime(max(315532800, int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))[:6]

    def add(self, name: str, contents: bytes, mode: int = 0o644, listed: bool = True) -> None:
        entry = zipfile.ZipInfo(name, self.date)
        entry.external_attr = (0o100000 | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        self.archive.writestr(entry, contents)
        digest = base64.urlsafe_b64encode(hashlib.sha256(contents).digest()).rstrip(b"=").decode()
        self.rows.append((name, "sha256=" + digest, len(contents)) if listed else (name, "", ""))

    def close(self) -> None:
        record = io.StringIO()
        csv.writer(record, lineterminator="\n").writerows([*self.rows, (self.info + "/RECORD", "", "")])
        self.add(self.info + "/RECORD", record.getvalue().encode(), listed=False)
        self.archive.close()


def build(bundle: Path, version: str, folder: Path) -> Path:
    programs = [path for path in sorted((bundle / "bin").iterdir()) if not path.is_symlink()]
    libraries = sorted((bundle / "lib/dora").glob("*.so*"))
    tag = f"py3-none-manylinux_{glibc(programs + libraries)}_{platform.machine()}"
    name = f"dora_serve-{version}"
    path = folder / f"{name}-{tag}.whl"
    wheel = Wheel(path, name)
    for source in sorted((HERE / "wheel/dora_serve").iterdir()):
        if source.suffix in (".py", ".typed"):
            wheel.add(f"dora_serve/{source.name}", source.read_bytes())
    for program in programs:
        wheel.add(f"{wheel.data}/scripts/{program.name}", program.read_bytes(), 0o755)
    for place in ["lib/dora", "share/dora", "share/man"]:
        for source in sorted((bundle / place).rglob("*")):
            if source.is_file():
                wheel.add(f"{wheel.data}/data/{source.relative_to(bundle)}", source.read_bytes())
    entries = "".join(f"dora-{command} = dora_serve._programs:{command}\n" for command in COMMANDS)
    wheel.add(wheel.info + "/entry_points.txt", f"[console_scripts]\n{entries}".encode())
    wheel.add(wheel.info + "/licenses/LICENSE", (HERE.parent / "LICENSE").read_bytes())
    description = (HERE / "wheel/README.md").read_text()
    wheel.add(wheel.info + "/METADATA", METADATA.format(version=version, description=description).encode())
    wheel.add(
        wheel.info + "/WHEEL",
        f"Wheel-Version: 1.0\nGenerator: dora\nRoot-Is-Purelib: false\nTag: {tag}\n".encode())
    wheel.close()
    return path


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(build(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
