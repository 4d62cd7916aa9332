profile 1 web-server
# A server of the current directory on one port.
param PORT = 8080
include system
include secrets

[files]
rox  ${CWD}
deny ${CWD}/.env
deny ${CWD}/.git
ro   /etc/nginx
ro   /etc/mime.types

[net]
listen *:${PORT} tcp

[limit]
processes 256
open-files 4096
