"""Charts of plain SVG text.

    python3 Benchmarks/chart.py serving.json > docs/serving.svg    # of serving.py; run.py draws its own
"""
import json, sys

COLORS = ["#2b6cb0", "#b7791f", "#2f855a", "#805ad5"]
NAMES = {"int8": "LLM.int8", "nf4": "NF4", "nf4-double": "NF4-double", "bf16": "BF16"}


def bars(groups, label=130):
    """Groups of horizontal bars under one another: (title, [(name, value, text)], color), each to its own scale."""
    rows, y = [], 10
    for title, group, color in groups:
        y += 24
        rows.append(f'<text x="10" y="{y}" font-weight="bold">{title}</text>')
        most = max(value for _, value, _ in group)
        for name, value, text in group:
            y += 22
            width = 380 * value / most
            rows.append(f'<text x="{label}" y="{y}" text-anchor="end">{name}</text>'
                        f'<rect x="{label + 8}" y="{y - 12}" width="{width:.1f}" height="15" fill="{color}"/>'
                        f'<text x="{label + 14 + width:.1f}" y="{y}">{text}</text>')
        y += 10
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{label + 580}" height="{y + 10}" font-family="sans-serif" '
            f'font-size="13"><rect width="100%" height="100%" fill="white"/>{"".join(rows)}</svg>\n')


def lines(title, below, series):
    """Lines over powers of two: (name, [(x, y)]), y from 0 to what is most; each line's name at its end."""
    xs = sorted({x for _, points in series for x, _ in points})
    most = max(1.0, max(y for _, points in series for _, y in points))
    left, top, width, height = 50, 40, 420, 260

    def place(x, y):
        return left + width * xs.index(x) / max(1, len(xs) - 1), top + height * (1 - y / most)

    parts = [f'<text x="{left}" y="22" font-weight="bold">{title}</text>']
    for tick in (0, 0.25, 0.5, 0.75, 1):
        y = place(xs[0], tick)[1]
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts += [f'<text x="{place(x, 0)[0]:.1f}" y="{top + height + 18}" text-anchor="middle">{x}</text>' for x in xs]
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">{below}</text>')
    ends = []
    # From the top, so that names keep the order of the lines' ends.
    for (name, points), color in sorted(zip(series, COLORS), key=lambda line: -line[0][1][-1][1]):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        x, y = place(*points[-1])
        # Names do not stand on one another.
        while any(abs(y - other) < 15 for other in ends):
            y += 3
        ends.append(y)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'
                     f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" fill="{color}">{name}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 160}" height="{top + height + 50}" '
            f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}'
            f'</svg>\n')


def serving(result):
    def clients(key):
        return [(f"{n} client{'s' * (n != '1')}", 1e3 * v[key], f"{1e3 * v[key]:.0f} ms")
                for n, v in result["latency"].items()]

    steps = [(name, (1 if name.endswith("x1") else 8) * 1e3 / ms) for name, ms in result["step_ms"].items()]
    return bars([("Decode rate", [(name, rate, f"{rate:.0f} tokens/s") for name, rate in steps], COLORS[0]),
                 ("Time to first token, median", clients("first_p50"), COLORS[1]),
                 ("Time between tokens, median", clients("between_p50"), COLORS[2])])


def benchmarks(results, path):
    """Of run.py: what dora reaches, and what the peers do on the same weights."""
    groups = []
    for shape in ("1.1b", "8b"):
        runs = [r for r in results["runs"] if r["shape"] == shape and r["adapter"] == "adapter"]
        decode = [(f"{NAMES[r['format']]}, context {d['context']}", d["tokensPerSecond"],
                   f"{d['tokensPerSecond']:.1f} tokens/s, {100 * d['share']['median']:.0f} %")
                  for r in runs for d in r["decode"] if d["weights"] == "base" and d["batch"] == 1]
        prefill = [(f"{NAMES[r['format']]}, {p['tokens']} tokens", p["tokensPerSecond"],
                    f"{p['tokensPerSecond']:.0f} tokens/s, {100 * p['shareOfPeak']['median']:.0f} %")
                   for r in runs for p in r["prefill"] if p["weights"] == "base"]
        if decode:
            groups.append((f"{shape.upper()}: decode, batch 1, and its share of the memory bandwidth", decode, COLORS[0]))
        if prefill:
            groups.append((f"{shape.upper()}: prefill, and its share of the arithmetic peak", prefill, COLORS[1]))
    ratios = [(f"{r['measure']} {r['tokens'] or ''}{' x8' if r['batch'] == 8 else ''} / {r['peer']}", r["ratio"],
               f"{r['ratio']:.2f}x") for r in (results["peers"] or {}).get("rows", [])]
    if ratios:
        groups.append(("1.1B: rate / the peer's, same weights", ratios, COLORS[2]))
    path.write_text(bars(groups, label=300 if ratios else 200))


if __name__ == "__main__":
    print(serving(json.load(open(sys.argv[1]))), end="")
