"""A chart of the simulation's table: merges a request and the p99 wait over the number of replicas, a line a policy."""
import math

COLOURS = ("#2b6cb0", "#b7791f", "#718096", "#2f855a")


def panel(left, title, sizes, series, low, high, ticks, label):
    """One plot, both axes logarithmic."""
    def x(size):
        return left + 320 * math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])

    def y(value):
        return 270 - 220 * math.log(min(max(value, low), high) / low) / math.log(high / low)

    yield f'<text x="{left}" y="30" font-weight="bold">{title}</text>'
    for tick in ticks:
        yield f'<line x1="{left}" x2="{left + 320}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#e2e8f0"/>'
        yield f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{label(tick)}</text>'
    for size in sizes:
        yield f'<text x="{x(size):.1f}" y="290" text-anchor="middle">{size}</text>'
    for colour, values in zip(COLOURS, series):
        points = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in zip(sizes, values))
        yield f'<polyline fill="none" stroke="{colour}" stroke-width="2.5" points="{points}"/>'


def chart(rows, policies):
    """`rows`: (replicas, policy, merges a request, p99 seconds); `policies`: names by policy."""
    sizes = sorted({size for size, *_ in rows})

    def series(column):
        return [[next(row[column] for row in rows if row[:2] == (size, policy)) for size in sizes] for policy in policies]

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="860" height="340" font-family="sans-serif" font-size="13">',
             '<rect width="100%" height="100%" fill="white"/>']
    parts += panel(70, "merges a request", sizes, series(2), 0.001, 1, (0.001, 0.01, 0.1, 1), lambda v: f"{v:g}")
    parts += panel(510, "p99 wait, seconds", sizes, series(3), 0.01, 1000, (0.01, 0.1, 1, 10, 100, 1000), lambda v: f"{v:g}")
    for index, (colour, name) in enumerate(zip(COLOURS, policies.values())):
        parts.append(f'<rect x="{70 + 195 * index}" y="312" width="14" height="14" fill="{colour}"/>')
        parts.append(f'<text x="{90 + 195 * index}" y="324">{name}</text>')
    return "\n".join(parts) + "\n</svg>\n"
