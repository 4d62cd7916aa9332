#!/bin/bash
# NOTIFY_SOCKET: what a program tells its service manager arrives at the host's socket, what means nothing outside does not.
. "$(dirname "$0")/lib.sh"
sender=$(dirname "$SUNDOG")/tests/oci/notify_send
[ -x "$sender" ] || { echo "no $sender"; exit 99; }
cp "$sender" rootfs/bin/notify_send
# listen SOCKET OUT: each datagram as a line, its new lines as |
listen() {
    python3 - "$1" "$2" <<'P' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + sys.argv[1][1:] if sys.argv[1][0] == "@" else sys.argv[1])
open(sys.argv[2], "w").close()
while True:
    data = s.recv(65536)
    with open(sys.argv[2], "ab") as out:
        out.write(data.replace(b"\n", b"|") + b"\n")
P
    listener=$!
    until_true 30 test -e "$2" || bad "no listener"
}
got() { grep -qxF -- "$1" got.log; }
arrives() { until_true 30 got "$1" || bad "\`$1\` did not arrive: $(cat got.log)"; }
listen "$work/host.sock" got.log
export NOTIFY_SOCKET=$work/host.sock

# in the foreground: the caller is the service, so no pid is told
bundle f 'p["user"] = {"uid": 1000, "gid": 1000}; p["env"].append("NOTIFY_SOCKET=/other")
args("notify_send", "STATUS=coming up", "READY=1|STATUS=here", "MAINPID=1", "FDSTORE=1|FDNAME=x", "ERRNO=2", "STATUS=\x1b[2J", "ERRNO=x", "BUSERROR=x|RELOADING=1|MONOTONIC_USEC=12", "STOPPING=1")'
expect 0 '^/run/notify/notify.sock$' sd run --bundle f "$prefix-f"
arrives "STOPPING=1"
same "STATUS=coming up READY=1|STATUS=here ERRNO=2 RELOADING=1|MONOTONIC_USEC=12 STOPPING=1 " "$(tr '\n' ' ' <got.log)" "what arrived"

# detached, on a read-only root: the pid is the supervisor's
: >got.log
bundle d 'c["root"]["readonly"] = True; sh("notify_send READY=1; sleep 1000")'
sd run --detach --pid-file d.pid --bundle d "$prefix-d" >/dev/null 2>&1 </dev/null || bad "run --detach"
arrives "READY=1|MAINPID=$(cat d.pid)"
# an exec has none, as with runc; with the socket named it may speak
expect 2 '' sd exec "$prefix-d" notify_send READY=1
to=NOTIFY_SOCKET=/run/notify/notify.sock
expect 0 'flood: held back' sd exec --env $to "$prefix-d" notify_send flood=500
expect 0 'fill=4097: Message too long' sd exec --env $to "$prefix-d" notify_send fill=4097
is "$prefix-d" running || bad "the flood ended the container"
(($(grep -c WATCHDOG got.log) < 300)) || bad "$(grep -c WATCHDOG got.log) messages of a flood of 500 arrived"
sd delete --force "$prefix-d"
kill $listener

# an abstract socket, with a network namespace of the container's own; and nobody there
rm got.log
listen "@sundog-notify-$$" got.log
export NOTIFY_SOCKET=@sundog-notify-$$
bundle a 'args("notify_send", "READY=1")'
expect 0 '' sd run --bundle a "$prefix-a"
arrives "READY=1"
kill $listener
export NOTIFY_SOCKET=$work/nobody.sock
expect 2 '' sd run --bundle a "$prefix-a2"
unset NOTIFY_SOCKET
expect 2 '' sd run --bundle a "$prefix-a3"
finish
