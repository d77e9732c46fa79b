#!/usr/bin/env python3
"""Folds the folder `aws-signing-test-suite` of the crate aws-sigv4 into one line of JSON per case, files unchanged.

    python3 convert.py ~/.cargo/registry/src/*/aws-sigv4-1.6.4/aws-signing-test-suite > vectors.jsonl
"""

import json
import pathlib
import sys

for case in sorted(pathlib.Path(sys.argv[1]).glob("v4*/*")):
    files = {path.stem: path.read_bytes().decode() for path in sorted(case.iterdir()) if path.suffix == ".txt"}
    context = case / "context.json"
    settings = json.loads(context.read_text()) if context.exists() else {}
    line = {"suite": case.parent.name, "case": case.name, "context": settings, "files": files}
    print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
