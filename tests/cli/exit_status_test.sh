#!/bin/bash
# Exit statuses: the program's, 128+n, 125 for the sandbox, 126 not executable, 127 not found.
. "$(dirname "$0")/lib.sh"
for n in 0 1 2 100 124 125 126 127 128 255; do expect $n '' run -- sh -c "exit $n"; done
for s in HUP 2 QUIT ILL ABRT KILL SEGV PIPE ALRM TERM USR1 34; do
    case $s in 2) n=2 ;; HUP) n=1 ;; QUIT) n=3 ;; ILL) n=4 ;; ABRT) n=6 ;; KILL) n=9 ;; SEGV) n=11 ;; PIPE) n=13 ;; ALRM) n=14 ;; TERM) n=15 ;; USR1) n=10 ;; *) n=$s ;; esac
    expect $((128 + n)) '' run -- sh -c "kill -$s \$\$"
done
expect 127 'no-such-program' run -- no-such-program
expect 127 '/no/such' run -- /no/such/program
expect 127 '' run -- ./absent
expect 126 '' run -- /usr
expect 126 '' run -- /etc/passwd
printf '#!/bin/sh\necho ran\n' >script; chmod 644 script
expect 126 '' run -- ./script
chmod 755 script
expect 0 ran run -- ./script
printf '#!/no/such/interpreter\n' >missing; chmod 755 missing
expect 126 'interpreter' run -- ./missing
printf '#!' >empty_interp; chmod 755 empty_interp
expect 126 '' run -- ./empty_interp
: >empty; chmod 755 empty
expect 126 '' run -- ./empty
printf '#!./loop\n' >loop; chmod 755 loop
expect 126 '' run -- ./loop
printf 'echo no header\n' >plain; chmod 755 plain
expect 126 '' run -- ./plain
ln -s self self
expect 126 '' run -- ./self
expect 127 '' run -- ./script/x
expect 125 'empty' run -- ''
expect 125 'no command' run
# An unreadable file: root reads it anyway, another user does not.
mkdir -p open; chmod 755 . open; cp /bin/true open/hidden; chmod 000 open/hidden
expect 126 '' run --uid 1000 --gid 1000 --cwd / --rox "$work/open:/o" -- /o/hidden
# A reaped child's status inside, orphans end with the program.
expect 7 '' run -- sh -c 'sh -c "exit 7"'
expect 0 '' run -- sh -c 'sleep 1000 & exit 0'
finish
