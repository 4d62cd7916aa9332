profile 1 git
# git in the current directory, over https to the usual hosts; its keys stay out of reach.
include system
include network
include secrets

[files]
rwx ${CWD}
deny ${CWD}/.env
ro  ${HOME}/.gitconfig
ro  ${CONFIG}/git
ro  /etc/gitconfig

[net]
connect github.com:443 tcp
connect *.github.com:443 tcp
connect gitlab.com:443 tcp
connect codeberg.org:443 tcp
connect bitbucket.org:443 tcp

[env]
pass GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL

[limit]
processes 256
