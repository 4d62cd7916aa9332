profile 1 python
# A Python program in the current directory, with pip's index.
include system
include network
include secrets
include project

[files]
ro /etc/python3
ro /etc/python3.11

[net]
connect pypi.org:443 tcp
connect files.pythonhosted.org:443 tcp

[env]
set PYTHONDONTWRITEBYTECODE=1

[limit]
processes 512
