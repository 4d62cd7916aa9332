profile 1 solaris-tool
# A Solaris program that works on the current directory.
include system
include secrets
include project

[limit]
processes 256
