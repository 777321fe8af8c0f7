"""The programs that come with this package."""

import os
import shutil
import sys
import sysconfig
from typing import NoReturn


def program() -> str:
    """The path of the program behind all commands: beside this installation's scripts, else on the path.

    :raises FileNotFoundError: it is in neither place.
    """
    places = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable), os.path.dirname(sys.argv[0])]
    # `pip install --user` and `--target` put scripts elsewhere.
    if sys.platform != "win32":
        places.append(sysconfig.get_path("scripts", f"{os.name}_user"))
    package = os.path.dirname(os.path.abspath(__file__))
    places.append(os.path.join(os.path.dirname(package), "bin"))
    for place in places:
        path = os.path.join(place, "dora")
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    found = shutil.which("dora")
    if found is None:
        raise FileNotFoundError(f"the program 'dora' is in none of {', '.join(dict.fromkeys(places))}; install the wheel again")
    return found


def _become(name: str) -> NoReturn:
    try:
        path = program()
    except FileNotFoundError as error:
        sys.exit(f"{name}: {error}")
    os.execv(path, [name, *sys.argv[1:]])


def generate() -> NoReturn:
    _become("dora-generate")


def pack() -> NoReturn:
    _become("dora-pack")


def serve() -> NoReturn:
    _become("dora-serve")
