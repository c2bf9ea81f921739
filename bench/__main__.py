"""`python -m bench [NAME…] [--json]`: run benchmarks, print their rows. Ends with 1 when a goal is missed."""
import argparse
import importlib
import json
import os
import sys

import django

NAMES = ("start", "command", "rewind", "snapshot", "diagram", "echo", "flood", "fanout", "neighbours")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lab bench", description="Measure the lab beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)}; all without one")
    parser.add_argument("--json", action="store_true", help="a list of rows")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labsite.settings")
    django.setup()
    from bench.lab import lab

    rows = []
    try:
        for name in options.names or NAMES:
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            for row in importlib.import_module(f"bench.{name}").bench():
                rows.append(row.as_dict())
                if not options.json:
                    show(rows[-1])
    finally:
        lab("down")
    if options.json:
        print(json.dumps(rows, indent=1))
    return 1 if any(row["met"] is False for row in rows) else 0


def show(row: dict) -> None:
    peer = f"{row['peer']:8.3f}" if row["peer"] is not None else " " * 8
    ratio = f"{row['ratio']:6.3f}" if row["ratio"] is not None else " " * 6
    goal = "" if row["met"] is None else f"<= {row['goal']:g} {'met' if row['met'] else 'MISSED'}"
    print(f"{row['bench']:<10} {row['figure']:<40} {row['ours']:9.3f} {peer} {row['unit']:<4} {ratio}  {goal}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
