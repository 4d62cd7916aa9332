profile 1 network-client
# A client of one host: sundog run --profile network-client --param HOST=example.org -- curl https://example.org
param HOST = localhost
param PORT = 443
include system
include network
include secrets

[files]
rw ${CWD}
deny ${CWD}/.env

[net]
connect ${HOST}:${PORT} tcp

[limit]
processes 64
