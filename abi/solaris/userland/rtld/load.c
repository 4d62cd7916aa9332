/* ld.so.1: finding, mapping and parsing objects. */
#include "rtld.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096UL
#define PAGE_DOWN(x) ((x) & ~(PAGE - 1))
#define PAGE_UP(x) (((x) + PAGE - 1) & ~(PAGE - 1))

struct obj *rt_head, *rt_tail;

void obj_append(struct obj *o)
{
    o->map.l_prev = rt_tail ? &rt_tail->map : NULL;
    if (rt_tail)
        rt_tail->map.l_next = &o->map;
    else
        rt_head = o;
    rt_tail = o;
}

struct obj *obj_at(uintptr_t a)
{
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next)
        if (a >= o->lo && a < o->hi)
            return o;
    return NULL;
}

void obj_parse_dynamic(struct obj *o)
{
    uintptr_t base = o->map.l_addr;
    const char *rpath = NULL, *runpath = NULL, *soname = NULL;
    size_t n = 0;

    for (const Elf64_Dyn *d = o->map.l_ld; d && d->d_tag != DT_NULL; d++) {
        uintptr_t v = d->d_un.d_val;

        switch (d->d_tag) {
        case DT_NEEDED: n++; break;
        case DT_PLTRELSZ: o->pltrelsz = v; break;
        case DT_PLTGOT: o->pltgot = (uintptr_t *)(base + v); break;
        case DT_HASH: o->hash = (const uint32_t *)(base + v); break;
        case DT_GNU_HASH: o->gnu_hash = (const uint32_t *)(base + v); break;
        case DT_STRTAB: o->strtab = (const char *)(base + v); break;
        case DT_STRSZ: o->strsz = v; break;
        case DT_SYMTAB: o->symtab = (const Elf64_Sym *)(base + v); break;
        case DT_RELA: o->rela = (Elf64_Rela *)(base + v); break;
        case DT_RELASZ: o->relasz = v; break;
        case DT_JMPREL: o->jmprel = (Elf64_Rela *)(base + v); break;
        case DT_INIT: o->init = base + v; break;
        case DT_FINI: o->fini = base + v; break;
        case DT_INIT_ARRAY: o->init_array = (uintptr_t *)(base + v); break;
        case DT_INIT_ARRAYSZ: o->init_n = v / 8; break;
        case DT_FINI_ARRAY: o->fini_array = (uintptr_t *)(base + v); break;
        case DT_FINI_ARRAYSZ: o->fini_n = v / 8; break;
        case DT_PREINIT_ARRAY: o->preinit_array = (uintptr_t *)(base + v); break;
        case DT_PREINIT_ARRAYSZ: o->preinit_n = v / 8; break;
        case DT_SONAME: soname = (const char *)v; break;
        case DT_RPATH: rpath = (const char *)v; break;
        case DT_RUNPATH: runpath = (const char *)v; break;
        case DT_SYMBOLIC: o->symbolic = 1; break;
        case DT_TEXTREL: o->textrel = 1; break;
        case DT_BIND_NOW: o->flags |= DF_BIND_NOW; break;
        case DT_FLAGS: o->flags |= (unsigned)v; break;
        case DT_FLAGS_1: o->flags1 = (unsigned)v; break;
        case DT_VERSYM: o->versym = (const Elf64_Half *)(base + v); break;
        case DT_VERDEF: o->verdef = (const Elf64_Verdef *)(base + v); break;
        case DT_VERNEED: o->verneed = (const Elf64_Verneed *)(base + v); break;
        case DT_DEBUG:
            if (o->is_exe)
                ((Elf64_Dyn *)d)->d_un.d_ptr = (uintptr_t)&rt_debug;
            break;
        default:
            if (d->d_tag >= 0x6000000d && d->d_tag <= 0x60000027)
                o->sunw = 1;
        }
    }
    o->soname = soname ? o->strtab + (uintptr_t)soname : NULL;
    o->rpath = rpath ? o->strtab + (uintptr_t)rpath : NULL;
    o->runpath = runpath ? o->strtab + (uintptr_t)runpath : NULL;
    if (o->flags & DF_SYMBOLIC)
        o->symbolic = 1;
    if (o->flags & DF_TEXTREL)
        o->textrel = 1;
    if (o->flags1 & DF_1_NODELETE)
        o->nodelete = 1;
    o->needed = n ? rt_alloc(n * sizeof(*o->needed)) : NULL;
    for (int i = 0; i < o->phnum; i++) {
        const Elf64_Phdr *p = &o->phdr[i];

        if (p->p_type == PT_TLS && p->p_memsz) {
            o->tls_image = (const void *)(base + p->p_vaddr);
            o->tls_filesz = p->p_filesz;
            o->tls_memsz = p->p_memsz;
            o->tls_align = p->p_align ? p->p_align : 1;
        } else if (p->p_type == PT_GNU_RELRO) {
            o->relro = PAGE_DOWN(base + p->p_vaddr);
            o->relro_end = PAGE_DOWN(base + p->p_vaddr + p->p_memsz);
        }
    }
}

static int seg_prot(unsigned f)
{
    return (f & PF_R ? PROT_READ : 0) | (f & PF_W ? PROT_WRITE : 0) | (f & PF_X ? PROT_EXEC : 0);
}

static long map_segments(struct obj *o, int fd, const Elf64_Phdr *ph, int n, int dyn)
{
    for (int i = 0; i < n; i++) {
        if (ph[i].p_type != PT_LOAD || !ph[i].p_memsz)
            continue;
        uintptr_t start = o->map.l_addr + ph[i].p_vaddr, a = PAGE_DOWN(start);
        uintptr_t file_end = start + ph[i].p_filesz, mem_end = PAGE_UP(start + ph[i].p_memsz);
        int prot = seg_prot(ph[i].p_flags);
        uintptr_t anon = a;
        long r;

        (void)dyn;
        if (ph[i].p_filesz) {
            r = RAW(SYS_mmap, a, PAGE_UP(file_end) - a, prot, MAP_PRIVATE | MAP_FIXED, fd,
                    PAGE_DOWN(ph[i].p_offset));
            if (RAW_FAILED(r))
                return r;
            anon = PAGE_UP(file_end);
            if (ph[i].p_memsz > ph[i].p_filesz && (prot & PROT_WRITE))
                memset((void *)file_end, 0, anon - file_end);
        }
        if (mem_end > anon) {
            r = RAW(SYS_mmap, anon, mem_end - anon, prot, MAP_PRIVATE | MAP_FIXED | MAP_ANON, -1, 0);
            if (RAW_FAILED(r))
                return r;
        }
    }
    return 0;
}

/* Maps the object in fd. Keeps nothing of fd. */
struct obj *obj_load_fd(int fd, const char *path, const char *refname)
{
    Elf64_Ehdr eh;
    struct stat st;
    long got = RAW(SYS_pread, fd, &eh, sizeof(eh), 0);

    if (got != sizeof(eh) || memcmp(eh.e_ident, "\177ELF", 4)) {
        rt_fail("%s: unknown file type", path);
        return NULL;
    }
    if (eh.e_ident[EI_CLASS] != ELFCLASS64) {
        rt_fail("%s: wrong ELF class: ELFCLASS32", path);
        return NULL;
    }
    if (eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_machine != EM_X86_64) {
        rt_fail("%s: wrong ELF machine type: %d (an amd64 object is needed)", path, eh.e_machine);
        return NULL;
    }
    if ((eh.e_type != ET_DYN && eh.e_type != ET_EXEC) || eh.e_phentsize != sizeof(Elf64_Phdr) || !eh.e_phnum ||
        eh.e_phnum > 256) {
        rt_fail("%s: bad ELF header", path);
        return NULL;
    }
    size_t phsize = eh.e_phnum * sizeof(Elf64_Phdr);
    Elf64_Phdr *ph = rt_alloc(phsize);
    if (RAW(SYS_pread, fd, ph, phsize, eh.e_phoff) != (long)phsize || RAW(SYS_fstat, fd, &st) < 0) {
        rt_fail("%s: truncated program header", path);
        rt_free(ph);
        return NULL;
    }
    uintptr_t lo = ~0UL, hi = 0, align = PAGE;
    for (int i = 0; i < eh.e_phnum; i++) {
        if (ph[i].p_type != PT_LOAD)
            continue;
        if (ph[i].p_filesz > ph[i].p_memsz || ph[i].p_vaddr + ph[i].p_memsz < ph[i].p_vaddr ||
            ((ph[i].p_vaddr ^ ph[i].p_offset) & (PAGE - 1)) || ph[i].p_offset + ph[i].p_filesz > (uint64_t)st.st_size) {
            rt_fail("%s: corrupt or truncated file", path);
            rt_free(ph);
            return NULL;
        }
        if (ph[i].p_vaddr < lo)
            lo = ph[i].p_vaddr;
        if (ph[i].p_vaddr + ph[i].p_memsz > hi)
            hi = ph[i].p_vaddr + ph[i].p_memsz;
        if (ph[i].p_align > align && !(ph[i].p_align & (ph[i].p_align - 1)))
            align = ph[i].p_align;
    }
    if (hi <= lo) {
        rt_fail("%s: no loadable segment", path);
        rt_free(ph);
        return NULL;
    }
    lo = PAGE_DOWN(lo);
    hi = PAGE_UP(hi);
    long where;
    if (eh.e_type == ET_DYN)
        where = RAW(SYS_mmap, align > PAGE ? align : 0, hi - lo, PROT_NONE,
                    MAP_PRIVATE | MAP_ANON | MAP_NORESERVE | (align > PAGE ? MAP_ALIGN : 0), -1, 0);
    else
        where = RAW(SYS_mmap, lo, hi - lo, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (RAW_FAILED(where)) {
        rt_fail("%s: mmap failed: %s", path, rt_strerror((int)-where));
        rt_free(ph);
        return NULL;
    }
    struct obj *o = rt_alloc(sizeof(*o));
    o->map.l_addr = eh.e_type == ET_DYN ? (uintptr_t)where - lo : 0;
    o->map.l_name = rt_strdup(path);
    o->map.l_refname = refname ? rt_strdup(refname) : NULL;
    o->dev = st.st_dev;
    o->ino = st.st_ino;
    o->lo = (uintptr_t)where;
    o->hi = o->lo + (hi - lo);
    o->phdr = ph;
    o->phnum = eh.e_phnum;
    long r = map_segments(o, fd, ph, eh.e_phnum, eh.e_type == ET_DYN);
    for (int i = 0; i < eh.e_phnum; i++)
        if (ph[i].p_type == PT_DYNAMIC)
            o->map.l_ld = (Elf64_Dyn *)(o->map.l_addr + ph[i].p_vaddr);
    if (r < 0 || !o->map.l_ld) {
        if (r < 0)
            rt_fail("%s: mmap failed: %s", path, rt_strerror((int)-r));
        else
            rt_fail("%s: no dynamic section", path);
        obj_unmap(o);
        return NULL;
    }
    if (env_debug)
        rt_message("%s: file=%s; mapped at 0x%lx", rt_progname, path, o->map.l_addr);
    obj_parse_dynamic(o);
    return o;
}

void obj_unmap(struct obj *o)
{
    (void)RAW(SYS_munmap, o->lo, o->hi - o->lo);
    rt_free((void *)o->phdr);
    rt_free(o->map.l_name);
    rt_free(o->map.l_refname);
    rt_free(o->needed);
    rt_free(o);
}

/* $ORIGIN, $ISALIST, $PLATFORM, $OSNAME, $OSREL in a path of n bytes; the result is rt_alloc'ed */
char *path_expand(const char *s, size_t n, struct obj *o)
{
    static const struct { const char *name; const char *value; } tokens[] = {
        { "ORIGIN", NULL }, { "ISALIST", "amd64" }, { "PLATFORM", "i86pc" }, { "OSNAME", "SunOS" }, { "OSREL", "5.11" }
    };
    char buf[1024];
    size_t k = 0;

    for (size_t i = 0; i < n && k + 1 < sizeof(buf);) {
        size_t t = 0, len = 0;
        int brace = s[i] == '$' && i + 1 < n && s[i + 1] == '{';

        if (s[i] != '$') {
            buf[k++] = s[i++];
            continue;
        }
        for (; t < sizeof(tokens) / sizeof(tokens[0]); t++) {
            len = strlen(tokens[t].name);
            if (i + 1 + (size_t)brace + len <= n && !memcmp(s + i + 1 + brace, tokens[t].name, len))
                break;
        }
        if (t == sizeof(tokens) / sizeof(tokens[0])) {
            buf[k++] = s[i++];
            continue;
        }
        i += 1 + len + (brace ? 2 : 0);
        const char *v = tokens[t].value;
        size_t vn;
        if (v) {
            vn = strlen(v);
        } else { /* the directory of the object that asks */
            const char *slash = NULL;
            v = o && o->map.l_name ? o->map.l_name : ".";
            for (const char *p = v; *p; p++)
                if (*p == '/')
                    slash = p;
            vn = slash ? (size_t)(slash - v) : 1;
            if (slash == v)
                vn = 1;
            if (!slash)
                v = ".";
        }
        if (k + vn + 1 >= sizeof(buf))
            break;
        memcpy(buf + k, v, vn);
        k += vn;
    }
    buf[k] = 0;
    return rt_strdup(buf);
}

static struct obj *same_file(const struct stat *st)
{
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next)
        if (o->ino == st->st_ino && o->dev == st->st_dev && o->ino)
            return o;
    return NULL;
}

/* NULL with *err = ENOENT: look further; other errors are reported in rt_error */
static struct obj *try_path(const char *path, const char *refname, int noload, int *err)
{
    struct stat st;
    long fd = RAW(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);

    if (fd < 0) {
        *err = (int)-fd;
        rt_fail("%s: open failed: %s", path, rt_strerror(*err));
        return NULL;
    }
    *err = 0;
    struct obj *o = RAW(SYS_fstat, fd, &st) < 0 ? NULL : same_file(&st);
    if (!o && !noload) {
        o = obj_load_fd((int)fd, path, refname);
        if (o) {
            struct obj *twin = NULL;
            /* a copy under another name ("libc.so" beside "libc.so.1") must not become a second libc */
            for (struct obj *p = rt_head; p && o->soname; p = (struct obj *)p->map.l_next)
                if (p->soname && !strchr(refname, '/') && rt_streq(p->soname, o->soname))
                    twin = p;
            if (twin) {
                obj_unmap(o);
                o = twin;
            } else {
                obj_append(o);
            }
        } else {
            *err = EINVAL;
        }
    } else if (!o) {
        rt_fail("%s: not loaded", path);
        *err = EINVAL;
    }
    (void)RAW(SYS_close, fd);
    return o;
}

static struct obj *try_list(const char *list, struct obj *origin, const char *name, int noload, int *err)
{
    while (list && *list) {
        const char *end = list;
        while (*end && *end != ':' && *end != ';')
            end++;
        char *dir = path_expand(list, (size_t)(end - list), origin), path[1300];
        rt_snprintf(path, sizeof(path), "%s/%s", *dir ? dir : ".", name);
        rt_free(dir);
        struct obj *o = try_path(path, name, noload, err);
        if (o || (*err != ENOENT && *err != ENOTDIR && *err != EACCES))
            return o;
        list = *end ? end + 1 : end;
    }
    return NULL;
}

/* These are filters on libc.so.1: their names cost no file when the search paths hold no other object so called. */
static int is_libc_filter(const char *name)
{
    static const char *const base[] = { "libc", "libsocket", "libnsl", "libsendfile", "libpthread", "librt", "libdl",
                                        "libthread", "libresolv", "libposix4", "libxnet" };

    for (size_t i = 0; i < sizeof(base) / sizeof(base[0]); i++) {
        const char *b = base[i], *s = name;

        while (*b && *b == *s)
            b++, s++;
        if (!*b && (rt_streq(s, ".so") || rt_streq(s, ".so.1") || rt_streq(s, ".so.2")))
            return 1;
    }
    return 0;
}

struct obj *obj_find(const char *name, struct obj *needer, int noload)
{
    int err = ENOENT;
    struct obj *o;

    if (strchr(name, '/') || strchr(name, '$')) {
        char *path = path_expand(name, strlen(name), needer);
        o = try_path(path, name, noload, &err);
        rt_free(path);
        return o;
    }
    for (o = rt_head; o; o = (struct obj *)o->map.l_next)
        if ((o->soname && rt_streq(o->soname, name)) || (o->map.l_refname && rt_streq(o->map.l_refname, name)))
            return o;
    /* DT_RPATH without DT_RUNPATH is old style; Solaris treats both alike, after LD_LIBRARY_PATH */
    const char *runpath = needer ? (needer->runpath ? needer->runpath : needer->rpath) : NULL;
    if (!rt_secure && (o = try_list(env_library_path, rt_exe, name, noload, &err)))
        return o;
    if ((err == ENOENT || err == ENOTDIR || err == EACCES) && (o = try_list(runpath, needer, name, noload, &err)))
        return o;
    if (err != ENOENT && err != ENOTDIR && err != EACCES)
        return NULL;
    if (is_libc_filter(name) && !rt_streq(name, "libc.so.1"))
        return obj_find("libc.so.1", needer, noload);
    o = try_list("/lib/64:/lib/amd64:/usr/lib/64:/usr/lib/amd64", NULL, name, noload, &err);
    if (!o && (err == ENOENT || err == ENOTDIR))
        rt_fail("%s: open failed: No such file or directory", name);
    return o;
}

/* Loads what the objects from `first` on need, breadth first; newly loaded ones are appended and visited in turn. */
int obj_load_needed(struct obj *first)
{
    for (struct obj *o = first; o; o = (struct obj *)o->map.l_next) {
        if (o->nneeded || o->is_self)
            continue;
        for (const Elf64_Dyn *d = o->map.l_ld; d && d->d_tag != DT_NULL; d++) {
            if (d->d_tag != DT_NEEDED)
                continue;
            struct obj *dep = obj_find(o->strtab + d->d_un.d_val, o, 0);
            if (!dep)
                return -1;
            o->needed[o->nneeded++] = dep;
        }
    }
    return 0;
}
