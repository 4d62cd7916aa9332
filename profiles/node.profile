profile 1 node
# A Node.js program in the current directory, without network beyond the sandbox.
include system
include secrets
include project

[env]
pass NODE_ENV

[limit]
processes 512
