profile 1 ssh-client
# ssh to one host: sundog run --profile ssh-client --param HOST=example.org -- ssh example.org
# Keys stay out of reach; one is shown by a line of its own: --rule '[files] ro ${HOME}/.ssh/id_work'
param HOST = localhost
param PORT = 22
include system
include network
include secrets

[files]
ro /etc/ssh/ssh_config
ro /etc/ssh/ssh_config.d
ro ${HOME}/.ssh/config
ro ${HOME}/.ssh/known_hosts

[net]
connect ${HOST}:${PORT} tcp

[env]
pass SSH_ASKPASS

[limit]
processes 32
