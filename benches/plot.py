"""A bar chart as SVG: medians on a logarithmic scale, p99 as a mark."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

LEFT, WIDTH, ROW, TOP = 190, 520, 26, 46


def svg(rows: Sequence[dict[str, Any]], title: str = "one run of `true`") -> str:
    """`rows`: dictionaries with name, p50_us and p99_us."""
    low, high = min(r["p50_us"] for r in rows), max(r["p99_us"] for r in rows)
    first, last = math.floor(math.log10(low / 1.2)), math.ceil(math.log10(high * 1.05))
    scale = WIDTH / (last - first)

    def x(us: float) -> float:
        return LEFT + (math.log10(us) - first) * scale

    height = TOP + ROW * len(rows) + 16
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="16">{escape(title)}, milliseconds: median, and p99 as a mark</text>',
    ]
    for decade in range(first, last + 1):
        at = x(10**decade)
        out.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 8}" y2="{height - 12}" stroke="#ddd"/>'
            f'<text x="{at:.1f}" y="{TOP - 12}" text-anchor="middle" fill="#666">{10**decade / 1000:g}</text>'
        )
    for i, r in enumerate(rows):
        y = TOP + i * ROW
        fill = "#2b6cb0" if r["name"].startswith(("ours", "containers-oci")) else "#a0aec0"
        out.append(
            f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(r["name"])}</text>'
            f'<rect x="{LEFT}" y="{y}" width="{x(r["p50_us"]) - LEFT:.1f}" height="18" fill="{fill}"/>'
            f'<line x1="{x(r["p99_us"]):.1f}" x2="{x(r["p99_us"]):.1f}" y1="{y}" y2="{y + 18}" stroke="#c53030" '
            f'stroke-width="2"/><text x="{max(x(r["p50_us"]), x(r["p99_us"])) + 6:.1f}" y="{y + 13}">'
            f"{r['p50_us'] / 1000:.2f}</text>"
        )
    return "\n".join(out) + "\n</svg>\n"
