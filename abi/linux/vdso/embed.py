#!/usr/bin/env python3
"""embed.py IMAGE OUT.c: the vDSO image as a C array; refuses one that would need relocating."""
import struct
import sys

data = open(sys.argv[1], "rb").read()
phoff, = struct.unpack_from("<Q", data, 32)
phnum, = struct.unpack_from("<H", data, 56)
dyn = None
for i in range(phnum):
    p_type, _, off, vaddr, _, filesz, memsz, _ = struct.unpack_from("<IIQQQQQQ", data, phoff + 56 * i)
    if p_type == 1 and (vaddr or off or filesz != memsz):
        sys.exit("vdso: the only segment must start at 0 and be all in the file")
    if p_type == 2:
        dyn = [struct.unpack_from("<QQ", data, off + 16 * k) for k in range(filesz // 16)]
if dyn is None:
    sys.exit("vdso: no dynamic section")
for tag, val in dyn:
    if (tag in (8, 2) and val) or tag == 1:
        sys.exit(f"vdso: dynamic tag {tag}: it has relocations or needs libraries")
with open(sys.argv[2], "w", encoding="ascii") as out:
    out.write('#include <stddef.h>\nextern const unsigned char linux_vdso_image[];\nextern const size_t linux_vdso_image_size;\n')
    out.write("const unsigned char linux_vdso_image[] = {\n")
    for i in range(0, len(data), 20):
        out.write("    " + "".join(f"{b}," for b in data[i:i + 20]) + "\n")
    out.write(f"}};\nconst size_t linux_vdso_image_size = {len(data)};\n")
