"""How well and how fast sources are read: `make bench PART=listening`.

    python -m tests.bench.listening [PART…]    some of the parts; without any, all

A part is a module here with a function `measure`, which prints a table and returns what missed its target, a line each.
"""

import importlib
import sys

PARTS = {
    "extraction": "the texts of articles, beside trafilatura's own defaults",
    "bill": "what reading the simulated X costs, beside the estimate",
    "cohort": "who follows the most of 35 leaders with a million followers each",
}


def main() -> None:
    """Measure the parts that are named, or all; exit 1 where one misses its target."""
    unknown = [part for part in sys.argv[1:] if part not in PARTS]
    if unknown:
        sys.exit(f"no part {unknown[0]}; there are: {', '.join(PARTS)}")
    missed = []
    for part in sys.argv[1:] or PARTS:
        print(f"{part}: {PARTS[part]}", flush=True)
        missed += [f"{part}: {line}" for line in importlib.import_module(f"tests.bench.{part}").measure()]
    print("\n".join(missed) if missed else "every target is met")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
