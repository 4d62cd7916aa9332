# Sourced by the tests of the command line: bash, an empty writable directory, $SUNDOG naming the binary.
set -u
SUNDOG=${SUNDOG:-${SUNDOG_BUILD:-build}/sundog}
[ -x "$SUNDOG" ] || { echo "no $SUNDOG: set SUNDOG"; exit 99; }
SUNDOG=$(realpath "$SUNDOG")
PLATFORM=${SUNDOG_TEST_PLATFORM:-auto}
failures=0
work=$(mktemp -d)
cd "$work" || exit 99
trap 'cd /; chmod -R u+rwX "$work" 2>/dev/null; rm -rf "$work"' EXIT

run() { "$SUNDOG" run --platform "$PLATFORM" "$@"; }
start() { trap - EXIT; exec "$SUNDOG" run --platform "$PLATFORM" "$@"; }   # in the background: $! is the process of sundog itself
bad() { echo "FAIL: $*"; failures=$((failures + 1)); }

# expect STATUS REGEX COMMAND...: its status, and a line of its output and errors that matches REGEX
expect() {
    local want=$1 regex=$2 got out
    shift 2
    out=$("$@" 2>&1 </dev/null)
    got=$?
    [ "$got" = "$want" ] || bad "status $got, not $want: ${*:2}: $out"
    [[ $out =~ $regex ]] || bad "output of ${*:2} has no \`$regex\`: $out"
}
# same WANT GOT WHAT
same() { [ "$1" = "$2" ] || bad "$3: \`$2\` instead of \`$1\`"; }
# until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}
finish() {
    ((failures == 0)) || { echo "$failures failed"; exit 1; }
    exit 0
}
