profile 1 database
# A database whose files are in the current directory.
param PORT = 5432
include system
include secrets

[files]
rw   ${CWD}
deny ${CWD}/.env

[net]
listen 127.0.0.1:${PORT} tcp

[ipc]
allow sysv

[limit]
processes 512
