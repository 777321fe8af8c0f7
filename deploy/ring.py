"""HAProxy's ring (`balance hash`, `hash-type consistent`, HAProxy 2.6): which server a name's requests go to.

Each server has 16 points for a unit of its weight, at the full-avalanche hash (Bob Jenkins' six steps for integers, then a
multiplication) of 4,096 x its id + the point's number; a name stands at the same hash of its sdbm hash, and
belongs to the nearest point.
"""
import bisect


def avalanche(value):
    value = (value + 0x7ED55D16 + (value << 12)) & 0xFFFFFFFF
    value = (value ^ 0xC761C23C ^ (value >> 19)) & 0xFFFFFFFF
    value = (value + 0x165667B1 + (value << 5)) & 0xFFFFFFFF
    value = ((value + 0xD3A2646C) ^ (value << 9)) & 0xFFFFFFFF
    value = (value + 0xFD7046C5 + (value << 3)) & 0xFFFFFFFF
    value = (value ^ 0xB55A4F09 ^ (value >> 16)) & 0xFFFFFFFF
    return value * 3221225473 & 0xFFFFFFFF


def sdbm(text):
    value = 0
    for byte in text.encode():
        value = (byte + (value << 6) + (value << 16) - value) & 0xFFFFFFFF
    return value


class Ring:
    def __init__(self, servers, points=4096):
        """`servers`: HAProxy's ids, 1 for the first; `points`: 16 x weight."""
        entries = sorted((avalanche(4096 * server + point), server) for server in servers for point in range(points))
        self.keys, self.servers = [key for key, _ in entries], [server for _, server in entries]
        self.size = len(set(self.servers))

    def nearest(self, name):
        position = avalanche(sdbm(name))
        after = bisect.bisect_left(self.keys, position) % len(self.keys)
        before = after - 1
        distance = (position - self.keys[before]) & 0xFFFFFFFF
        return before if distance <= (self.keys[after] - position) & 0xFFFFFFFF else after

    def home(self, name):
        return self.servers[self.nearest(name)]

    def walk(self, name):
        """All servers, from the home on along the ring."""
        seen, index = set(), self.nearest(name)
        while len(seen) < self.size:
            server = self.servers[index % len(self.servers)]
            if server not in seen:
                seen.add(server)
                yield server
            index += 1
