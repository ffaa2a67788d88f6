"""bench/out/peers.json and what is printed of it."""

import json
import os
import statistics


def compared(name, level, ours, theirs, **more):
    """An entry of times in milliseconds: medians, and the quartiles of each side and of the ratio of neighbouring runs."""
    a, b = statistics.median(ours), statistics.median(theirs)
    return {"name": name, "level": level, "ours_ms": a, "peer_ms": b, "ratio": a / b,
            "ours_quartiles": quartiles(ours), "peer_quartiles": quartiles(theirs),
            "ratio_quartiles": quartiles([x / y for x, y in zip(ours, theirs)]), **more}


def memory(name, level, ours, theirs, **more):
    return {"name": name, "level": level, "ours_mb": ours, "peer_mb": theirs, "ratio": ours / theirs, **more}


def quartiles(values):
    q = statistics.quantiles(values, n=4, method="inclusive")
    return [q[0], q[2]]


def line(e):
    unit = "ms" if "ours_ms" in e else "mb"
    text = f"{e['name']:36} {e['level']:7} ours {e['ours_' + unit]:9.2f} {unit}   peer {e['peer_' + unit]:9.2f} {unit}   ratio {e['ratio']:.2f}"
    if "ratio_quartiles" in e:
        text += " ({:.2f} to {:.2f})".format(*e["ratio_quartiles"])
    return f"{text}   {e['peer']}, {e['variant']}"


def read(path):
    return json.loads(path.read_text()) if path.exists() else []


def write(path, entries):
    """Replaces what is in the file of the same name and level; other entries stay."""
    new = {(e["name"], e["level"]) for e in entries}
    kept = [e for e in read(path) if (e["name"], e["level"]) not in new]
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(kept + entries, indent=1) + "\n")
    os.replace(temporary, path)


def markdown(entries):
    rows = ["| case | level | ours | best peer | ratio | quartiles | peer |", "|---|---|--:|--:|--:|---|---|"]
    for e in entries:
        unit, shown = ("ms", "ms") if "ours_ms" in e else ("mb", "MiB")
        spread = "{:.2f} to {:.2f}".format(*e["ratio_quartiles"]) if "ratio_quartiles" in e else ""
        rows.append(f"| {e['name']} | {e['level']} | {e['ours_' + unit]:.1f} {shown} | {e['peer_' + unit]:.1f} {shown} "
                    f"| {e['ratio']:.2f} | {spread} | {e['peer']}, {e['variant']} |")
    return "\n".join(rows)
