profile 1 npm
# npm install and npm test of the project in the current directory.
param REGISTRY = registry.npmjs.org
include system
include network
include secrets
include project

[net]
connect ${REGISTRY}:443 tcp

[env]
pass NODE_ENV
set  npm_config_update_notifier=false
set  npm_config_fund=false
set  npm_config_audit=false

[limit]
processes 1024
