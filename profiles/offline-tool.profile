profile 1 offline-tool
# A program that reads and writes the current directory and needs nothing else: compressors, formatters, compilers.
include system
include secrets
include project

[limit]
processes 256
