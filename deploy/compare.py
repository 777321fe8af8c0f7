#!/usr/bin/env python3
"""Do several machines serve the same adapters?

    python3 deploy/compare.py http://10.0.0.1:8000 http://10.0.0.2:8000 [--token-file FILE]

Compares the digests (SHA-256 over configuration and weights) of /v1/adapters. A name that is loaded on one machine and
only lies under another's root is no difference yet: it has a digest once it is loaded. Standard library only.
Exit status: 0 the same, 1 different, 69 a machine cannot be asked.
"""
import argparse
import collections
import json
import sys
import urllib.error
import urllib.request


def adapters(address, token):
    """Digests by name, None where the adapter is not loaded."""
    request = urllib.request.Request(address.rstrip("/") + "/v1/adapters")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as reply:
        return {adapter["name"]: adapter.get("digest") for adapter in json.load(reply)["adapters"]}


def differences(machines):
    """Lines about names that one machine has and another has not, or has with other contents."""
    for name in sorted(set().union(*machines.values())):
        missing = [address for address, listed in machines.items() if name not in listed]
        if missing:
            yield f"{name}: not on {', '.join(missing)}"
        digests = collections.defaultdict(list)
        for address, listed in machines.items():
            if listed.get(name):
                digests[listed[name]].append(address)
        if len(digests) > 1:
            yield f"{name}: " + "; ".join(f"{digest[:12]} on {', '.join(where)}" for digest, where in digests.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", nargs="+", help="http://HOST:PORT of each machine")
    parser.add_argument("--token-file", help="file whose first line is the machines' token")
    options = parser.parse_args()
    token = open(options.token_file).readline().strip() if options.token_file else None
    machines = {}
    for address in options.address:
        try:
            machines[address] = adapters(address, token)
        except (OSError, ValueError, KeyError) as problem:
            print(f"{address}: cannot be asked ({problem})", file=sys.stderr)
            sys.exit(69)
    found = list(differences(machines))
    print("\n".join(found) if found else
          f"{len(set().union(*machines.values()))} adapters on {len(machines)} machines: nothing differs")
    compared = sum(all(listed.get(name) for listed in machines.values()) for name in machines[options.address[0]])
    print(f"{compared} are loaded everywhere, and compared by digest", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
