profile 1 web-server
# A server of the current directory on one port: sundog run --net host --profile web-server -- nginx -c $PWD/nginx.conf
# Without --net host the port is one of the sandbox's own loopback, which the host does not see.
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
