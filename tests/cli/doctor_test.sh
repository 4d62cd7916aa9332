#!/bin/bash
# `sundog doctor`: what it says of each platform is what `sundog run` then does.
. "$(dirname "$0")/lib.sh"
expect 0 'usage: sundog doctor' "$SUNDOG" doctor --help
expect 125 'no arguments' "$SUNDOG" doctor now
expect 0 'platform auto takes' "$SUNDOG" doctor
"$SUNDOG" doctor --json >found.json || bad "doctor --json: status $?"
python3 - found.json >works <<'EOF' || bad 'its JSON'
import json, sys
d = json.load(open(sys.argv[1]))
assert d["cpus"] >= 1 and d["kernel"] and isinstance(d["advice"], list)
names = [p["name"] for p in d["platforms"]]
assert names == ["kvm", "trap", "ptrace"], names
for p in d["platforms"]:
    if p["works"]:
        assert p["call_ns"] > 0 and p["fault_ns"] > 0 and p["space_ns"] > 0, p
    else:
        assert p["why"], p
    print(p["name"], "yes" if p["works"] else "no")
# auto passes over a kvm without hardware behind it, which works but is slower than trap.
fast = [p["name"] for p in d["platforms"] if p["works"] and "not hardware virtualisation" not in p.get("findings", "")]
assert d["auto"] == fast[0], (d["auto"], fast)
EOF
while read -r name works; do
    if "$SUNDOG" run --platform "$name" -- true >out 2>&1; then got=yes; else got=no; fi
    same "$works" "$got" "platform $name: doctor against run: $(cat out)"
done <works
finish
