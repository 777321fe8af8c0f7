#!/usr/bin/env python3
"""Writes a command's man page from what the command says of itself: man.py PROGRAM > PROGRAM.1

SOURCE_DATE_EPOCH, if set, is its date."""
import datetime
import json
import os
import re
import subprocess
import sys
from typing import Any

SEE_ALSO = ["dora-export", "dora-generate", "dora-pack", "dora-serve"]


def ask(program: str, *arguments: str) -> str:
    environment = {**os.environ, "COLUMNS": "10000"}
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True, env=environment).stdout


def escape(text: str) -> str:
    """Text as troff shows it: backslashes and dashes are themselves, and no line is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def paragraphs(text: str) -> str:
    """Running text; indented lines are shown as they are."""
    parts = []
    for part in text.strip("\n").split("\n\n"):
        if part.startswith("  "):
            parts.append(".PP\n.nf\n" + escape(part) + "\n.fi")
        else:
            parts.append(".PP\n" + escape(part))
    return "\n".join(parts).removeprefix(".PP\n")


def option(argument: dict[str, Any]) -> str:
    names = [("-" if name["kind"] == "short" else "--") + name["name"] for name in argument.get("names", [])]
    value = argument.get("valueName", "value")
    if argument["kind"] == "positional":
        head = f"\\fI{escape(value)}\\fR" + (" ..." if argument.get("isRepeating") else "")
    else:
        head = ", ".join(f"\\fB{escape(name)}\\fR" for name in names)
        if argument["kind"] == "option":
            head += f" \\fI{escape(value)}\\fR"
    texts = [argument.get("abstract", ""), argument.get("discussion", "")]
    values = argument.get("allValues") or argument.get("allValueStrings")
    if values:
        texts.append("One of " + ", ".join(values) + ".")
    if argument.get("defaultValue") and argument["kind"] == "option":
        texts.append(f"Default: {argument['defaultValue']}.")
    return f".TP\n{head}\n" + escape(" ".join(text.strip() for text in texts if text and text.strip()))


def page(program: str) -> str:
    command = json.loads(ask(program, "--experimental-dump-help"))["command"]
    name = command["commandName"]
    usage = re.search(r"USAGE: (.*?)\n\n", ask(program, "--help"), re.DOTALL)
    release = ask(program, "--version").split("\n")[0]
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    date = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc) if epoch else datetime.datetime.now()
    lines = [
        f'.TH "{name.upper()}" "1" "{date:%Y-%m-%d}" "{release}" "User Commands"',
        ".SH NAME",
        f"{escape(name)} \\- {escape(command['abstract'].rstrip('.'))}",
        ".SH SYNOPSIS",
        ".nf",
        *(escape(line.strip()) for line in (usage[1] if usage else name).split("\n")),
        ".fi",
        ".SH DESCRIPTION",
        paragraphs(command.get("discussion", "")),
    ]
    section = None
    shown = [argument for argument in command["arguments"] if argument.get("shouldDisplay", True)]
    for argument in sorted(shown, key=lambda argument: argument.get("sectionTitle") is not None):
        title = argument.get("sectionTitle") or "Options"
        if title != section:
            lines.append(f".SH {escape(title.upper())}" if title == "Options" else f".SS {escape(title)}")
            section = title
        lines.append(option(argument))
    lines += [".SH SEE ALSO", ", ".join(f"\\fB{escape(other)}\\fR(1)" for other in SEE_ALSO if other != name)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.stdout.write(page(sys.argv[1]))
