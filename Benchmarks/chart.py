"""Draws docs/serving.svg from the figures of serving.py:  python3 Benchmarks/chart.py serving.json > docs/serving.svg"""
import json, sys

result = json.load(open(sys.argv[1]))
steps = [(name, (1 if name.endswith("x1") else 8) * 1e3 / ms, "tokens/s") for name, ms in result["step_ms"].items()]
first = [(f"{n} client{'s' * (n != '1')}", 1e3 * v["first_p50"], "ms") for n, v in result["latency"].items()]
between = [(f"{n} client{'s' * (n != '1')}", 1e3 * v["between_p50"], "ms") for n, v in result["latency"].items()]
groups = [("Decode rate", steps, "#2b6cb0"), ("Time to first token, median", first, "#b7791f"),
          ("Time between tokens, median", between, "#2f855a")]
rows, y = [], 10
for title, bars, color in groups:
    y += 24
    rows.append(f'<text x="10" y="{y}" font-weight="bold">{title}</text>')
    most = max(value for _, value, _ in bars)
    for name, value, unit in bars:
        y += 22
        width = 380 * value / most
        rows.append(f'<text x="130" y="{y}" text-anchor="end">{name}</text>'
                    f'<rect x="138" y="{y - 12}" width="{width:.1f}" height="15" fill="{color}"/>'
                    f'<text x="{144 + width:.1f}" y="{y}">{value:.0f} {unit}</text>')
    y += 10
print(f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{y + 10}" font-family="sans-serif" font-size="13">'
      f'<rect width="100%" height="100%" fill="white"/>{"".join(rows)}</svg>')
