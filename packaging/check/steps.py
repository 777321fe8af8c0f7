#!/usr/bin/env python3
"""steps.py DOCKERFILE COMPOSE: a shell script that does what the last stage does, and then what the service does.

It ends when the health check was answered, and a request over HTTP, and the server has ended as it is told to."""
import json
import re
import shlex
import sys
from pathlib import Path


def last_stage(text: str) -> list[tuple[str, str]]:
    """Instructions and what they are given, comments and line ends removed."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]
    starts = [index for index, (name, _) in enumerate(found) if name == "FROM"]
    return found[starts[-1] + 1:]


def listed(text: str, key: str) -> list[str]:
    """The list in brackets that the service `dora` of a compose file gives under a key."""
    return [str(item) for item in json.loads(re.findall(rf"^ +{key}: (\[.*\])$", text, re.MULTILINE)[0])]


def main(dockerfile: str, compose: str) -> None:
    script, user, entry = ["set -eu"], "0", []
    for name, rest in last_stage(Path(dockerfile).read_text()):
        if name == "RUN":
            step = re.sub(r"^(--\S+\s+)+", "", rest)
            script.append(f"{{ {step}; }} >/tmp/step 2>&1 || {{ cat /tmp/step; exit 1; }} >&2")
        elif name == "ENV":
            script.append("export " + rest)
        elif name == "USER":
            user = rest
        elif name == "ENTRYPOINT":
            entry = json.loads(rest)
    text = Path(compose).read_text()
    command = shlex.join([*entry, *listed(text, "command")])
    health = shlex.join(listed(text, "test")[1:])
    script.append(f"""\
group=$(getent passwd {user} | cut -d: -f4)
become() {{ exec setpriv --reuid {user} --regid "$group" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"; }}
become {command} --log-level error >/dev/null &
server=$!
tries=0
until answer=$(become {health} 2>&1); do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || {{ echo "FAILED: unhealthy: $answer" >&2; exit 1; }}
    sleep 0.2
done
echo "  health check: $answer"
grep -E '^(Uid|Gid|CapEff|CapBnd)' "/proc/$server/status" | tr '\\n\\t' '  ' | sed 's/^/  /'
echo
for token in "$(cat /run/secrets/token)" none; do
    bash -c 'exec 3<>/dev/tcp/127.0.0.1/8000
        printf "GET /v1/models HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer %s\\r\\nConnection: close\\r\\n\\r\\n" "$1" >&3
        head -n 1 <&3' bash "$token"
done | tr -d '\\r' | tr '\\n' ' ' >/tmp/said
[ "$(cat /tmp/said)" = "HTTP/1.1 200 OK HTTP/1.1 401 Unauthorized " ] || {{ cat /tmp/said; exit 1; }}
echo "  with the token and without: $(cat /tmp/said)"
kill "$server"
wait "$server" || {{ echo "FAILED: the server ended with $?" >&2; exit 1; }}""")
    print("\n".join(script))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
