profile 1 ssh-client
# ssh to one host: sundog run --profile ssh-client --param HOST=example.org -- ssh example.org
param HOST = localhost
include system
include network
include secrets

[files]
ro /etc/ssh/ssh_config
ro /etc/ssh/ssh_config.d
ro ${HOME}/.ssh/config
ro ${HOME}/.ssh/known_hosts

[net]
connect ${HOST}:22 tcp

[env]
pass SSH_ASKPASS

[limit]
processes 32
