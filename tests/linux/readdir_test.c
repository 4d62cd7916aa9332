/* getdents: every old entry once while others come and go; telldir, seekdir, rewinddir. */
#include "tmpdir.h"
#include <dirent.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static void removal_while_reading(void)
{
    char n[64];
    CHECK(mkdir("d", 0755) == 0);
    for (int i = 0; i < 3000; i++) snprintf(n, sizeof n, "d/file-%d", i), close(open(n, O_CREAT | O_WRONLY, 0600));
    DIR *d = opendir("d");
    int seen = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        CHECK(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
        CHECK(unlinkat(dirfd(d), e->d_name, 0) == 0);
        seen++;
    }
    CHECK(seen == 3000 && rmdir("d") == 0);
    closedir(d);
}
static void seeking(void)
{
    char n[64], names[50][256];
    long at[51];
    int k = 0;
    CHECK(mkdir("s", 0755) == 0);
    for (int i = 0; i < 48; i++) snprintf(n, sizeof n, "s/%d", i), close(open(n, O_CREAT | O_WRONLY, 0600));
    DIR *d = opendir("s");
    for (struct dirent *e; at[k] = telldir(d), (e = readdir(d));) snprintf(names[k++], 256, "%s", e->d_name);
    CHECK(k == 50);
    for (int i = 49; i >= 0; i--) {
        seekdir(d, at[i]);
        struct dirent *e = readdir(d);
        CHECK(e && !strcmp(e->d_name, names[i]));
    }
    close(open("s/late", O_CREAT | O_WRONLY, 0600));
    rewinddir(d);
    int late = 0;
    for (struct dirent *e; (e = readdir(d));) late |= !strcmp(e->d_name, "late");
    CHECK(late);
    closedir(d);
    char b[10];
    CHECK_ERR(read(open("s", O_RDONLY), b, 10), EISDIR);
}

/* The buffer is shorter than it is said to be: what fits before its end is given, and nothing is lost. */
static void short_buffer(void)
{
    char n[64];
    CHECK(mkdir("p", 0755) == 0);
    for (int i = 0; i < 60; i++) snprintf(n, sizeof n, "p/name-%d", i), close(open(n, O_CREAT | O_WRONLY, 0600));
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(m != MAP_FAILED && mprotect(m + 4096, 4096, PROT_NONE) == 0);
    int d = open("p", O_RDONLY | O_DIRECTORY), seen = 0;
    for (long r; (r = syscall(SYS_getdents64, d, m + 4096 - 200, 4096)) != 0;) {
        CHECK(r > 0 && r <= 200);
        for (char *e = m + 4096 - 200; e < m + 4096 - 200 + r; e += *(unsigned short *)(e + 16)) seen++;
    }
    CHECK(seen == 62);
    CHECK(lseek(d, 0, SEEK_SET) == 0);
    CHECK_ERR(syscall(SYS_getdents64, d, m, 0x80000000UL), EINVAL);
    CHECK_ERR(syscall(SYS_getdents64, d, m + 4096, 4096), EFAULT);
    CHECK(syscall(SYS_getdents64, d, m, 4096) > 0);
    close(d);
}

TMPDIR_MAIN(CASE(removal_while_reading), CASE(seeking), CASE(short_buffer))
