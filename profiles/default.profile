profile 1 default
# What `sundog run` shows without a profile: the system read-only, the current directory copy-on-write, nothing else of
# the user's, no network.
include system
include secrets

[files]
rox     /etc
deny    /etc/shadow
deny    /etc/gshadow
deny    /etc/sudoers
deny    /etc/ssh
deny    /etc/ssl/private
overlay ${CWD}
