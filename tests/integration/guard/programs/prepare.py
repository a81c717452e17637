"""Stands where the check of the configuration stands: the plan is good, unless it is no JSON."""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    path = Path(sys.argv[1])
    try:
        plan = json.loads(path.read_text())
    except ValueError as error:
        sys.stderr.write(f"{path}: {error}\n")
        sys.exit(2)
    found = {"name": "n1", "data_dir": plan["data_dir"], "state_dir": str(path.parent / "state")}
    sys.stdout.write(json.dumps(found) + "\n")
