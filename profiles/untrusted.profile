profile 1 untrusted
# A shell for code nobody has read: the system's programs, an empty home, the current directory copy-on-write.
include system
include secrets

[files]
overlay ${CWD}
deny    ${CWD}/.env
deny    ${CWD}/.git/config

[ipc]
deny sysv mqueue

[sys]
deny @mount

[limit]
memory 1G
processes 128
open-files 1024
cpu-time 10m
file-size 1G
