# Sourced by the tests of the OCI interface: bash, an empty directory, a root file system with busybox, $SUNDOG.
set -u
SUNDOG=${SUNDOG:-${SUNDOG_BUILD:-build}/sundog}
[ -x "$SUNDOG" ] || { echo "no $SUNDOG: set SUNDOG"; exit 99; }
SUNDOG=$(realpath "$SUNDOG")
PLATFORM=${SUNDOG_TEST_PLATFORM:-auto}
skip() { echo "SKIP: $*"; exit 77; }
busybox=$(command -v busybox) || skip "no busybox: install busybox-static"
! ldd "$busybox" >/dev/null 2>&1 || skip "busybox is not static: install busybox-static"
command -v python3 >/dev/null || skip "no python3"
failures=0
work=$(mktemp -d /tmp/sundog-oci-XXXXXX)
cd "$work" || exit 99
cleanup() {
    cd /
    for d in "$work"/run/*/; do [ -d "$d" ] && timeout 60 "$SUNDOG" --root "$work/run" delete --force "$(basename "$d")"; done
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
prefix=sundog-test-$$   # containers, hence cgroups
sd() { timeout 120 "$SUNDOG" --root "$work/run" --platform "$PLATFORM" "$@"; }
bad() { echo "FAIL: $*"; failures=$((failures + 1)); }
same() { [ "$1" = "$2" ] || bad "$3: \`$2\` instead of \`$1\`"; }
# expect STATUS REGEX COMMAND...
expect() {
    local want=$1 regex=$2 got out
    shift 2
    out=$("$@" 2>&1 </dev/null)
    got=$?
    [ "$got" = "$want" ] || bad "status $got, not $want: $*: $out"
    [[ $out =~ $regex ]] || bad "output of $* has no \`$regex\`: $out"
}
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}
status_of() { sd state "$1" 2>/dev/null | sed -n 's/.*"status": *"\([a-z]*\)".*/\1/p'; }
is() { [ "$(status_of "$1")" = "$2" ]; }
wait_for() { until_true 60 is "$1" "$2" || bad "$1 is $(status_of "$1"), not $2"; }

mkdir -p rootfs/{bin,dev,etc,proc,root,sys,tmp,var}
cp "$busybox" rootfs/bin/busybox
for a in $("$busybox" --list); do [ "$a" = busybox ] || ln -sf busybox "rootfs/bin/$a"; done
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' >rootfs/etc/passwd

# bundle DIR [PYTHON]: a bundle whose configuration is `c`, changed by the statements; `args(...)` sets the program.
bundle() {
    mkdir -p "$1"
    [ -e "$1/rootfs" ] || cp -a rootfs "$1/rootfs"
    python3 - "$1" "${2:-}" <<'P'
import json, sys
caps = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
c = {"ociVersion": "1.0.2",
     "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["true"], "env": ["PATH=/bin"], "cwd": "/",
                 "capabilities": {"bounding": caps, "effective": caps, "permitted": caps}},
     "root": {"path": "rootfs"}, "hostname": "box",
     "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance"]},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}],
     "linux": {"namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")]}}
p, l = c["process"], c["linux"]
def args(*a): p["args"] = list(a)
def sh(text): args("sh", "-c", text)
def mount(dest, type, source, *options): c["mounts"].append({"destination": dest, "type": type, "source": source, "options": list(options)})
exec(sys.argv[2])
json.dump(c, open(sys.argv[1] + "/config.json", "w"), indent=1)
P
}
# inside REGEX PYTHON: a container of this configuration prints something that matches
n=0
inside() {
    n=$((n + 1))
    bundle "b$n" "$2"
    expect 0 "$1" sd run --bundle "b$n" "$prefix-$n"
}
finish() {
    ((failures == 0)) || { echo "$failures failed"; exit 1; }
    exit 0
}
