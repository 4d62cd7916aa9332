profile 1 media
# Converters of pictures, sound and documents: what they read is often hostile. No network, no new programs, little else.
include system
include secrets

[files]
rw   ${CWD}
deny ${CWD}/.env
ro   /etc/ImageMagick-6
ro   /etc/ghostscript
ro   /etc/papersize
ro   /var/lib/ghostscript

[ipc]
deny sysv mqueue

[sys]
deny @mount @inotify @resources

[limit]
memory 2G
processes 64
cpu-time 10m
file-size 4G
