import sys

import httpx

address, *bots = sys.argv[1:]
httpx.get(f"{address}/health/ready", timeout=30).raise_for_status()
there = httpx.get(f"{address}/bots", timeout=30).raise_for_status().json()["bots"]
print("bots:", *there)
if there != bots:
    sys.exit(f"the values have {' '.join(bots)}")
