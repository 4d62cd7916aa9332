profile 1 build
# Building software in the current directory: make, cmake, cargo, npm, pip; with their registries by name.
include system
include network
include secrets
include project

[net]
connect registry.npmjs.org:443 tcp
connect pypi.org:443 tcp
connect files.pythonhosted.org:443 tcp
connect index.crates.io:443 tcp
connect static.crates.io:443 tcp
connect crates.io:443 tcp
connect proxy.golang.org:443 tcp
connect sum.golang.org:443 tcp

[limit]
processes 2048
