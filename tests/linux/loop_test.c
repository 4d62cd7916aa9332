/* Loop devices, loop(4). Natively by root where the host has the driver. */
#include "check.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

static char name[32];
static char file[64] = "/tmp/loop_testXXXXXX";
static int backing = -1;

#define SKIP(why)                                                                                   \
    do {                                                                                            \
        printf("skipped: %s\n", why);                                                               \
        exit(77);                                                                                   \
    } while (0)

static void remove_file(void) { unlink(file); }

/* The device that is free now; another program may take it first, then the test says so. */
static int open_free(int flags)
{
    int ctl = open("/dev/loop-control", O_RDWR);
    if (ctl < 0) SKIP("loop devices want root, and a host that has them");
    if (backing < 0) {
        backing = mkstemp(file);
        CHECK(backing >= 0);
        atexit(remove_file);
    }
    int n = ioctl(ctl, LOOP_CTL_GET_FREE);
    CHECK(n >= 0);
    close(ctl);
    snprintf(name, sizeof name, "/dev/loop%d", n);
    int fd = open(name, flags);
    if (fd < 0) SKIP("the free loop device cannot be opened");
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && major(st.st_rdev) == 7 && minor(st.st_rdev) == (unsigned)n);
    return fd;
}

static void fill(size_t bytes)
{
    char b[512];
    CHECK(ftruncate(backing, 0) == 0);
    for (size_t i = 0; i < bytes / 512; i++) {
        memset(b, 'a' + (int)(i % 26), sizeof b);
        CHECK(pwrite(backing, b, sizeof b, (off_t)(i * 512)) == 512);
    }
}

static uint64_t size_of(int fd)
{
    uint64_t n = 1;
    CHECK(ioctl(fd, BLKGETSIZE64, &n) == 0);
    return n;
}

static void unbound(void)
{
    int fd = open_free(O_RDWR);
    struct loop_info64 info;
    char c;
    CHECK(size_of(fd) == 0);
    int ro;
    CHECK(read(fd, &c, 1) == 0);
    CHECK(ioctl(fd, BLKROGET, &ro) == 0);
    CHECK_ERR(write(fd, "x", 1), ro ? EPERM : ENOSPC); /* the host remembers its last use */
    CHECK_ERR(ioctl(fd, LOOP_GET_STATUS64, &info), ENXIO);
    CHECK_ERR(ioctl(fd, LOOP_CLR_FD), ENXIO);
    CHECK_ERR(ioctl(fd, LOOP_SET_FD, -1), EBADF);
    CHECK_ERR(ioctl(fd, LOOP_SET_CAPACITY), ENXIO);
    int dir = open("/tmp", O_RDONLY | O_DIRECTORY);
    CHECK_ERR(ioctl(fd, LOOP_SET_FD, dir), EINVAL);
    close(dir);
    CHECK_ERR(ioctl(fd, LOOP_SET_FD, fd), EBADF); /* itself */
    close(fd);
}

static void transfers(void)
{
    int fd = open_free(O_RDWR);
    char b[1024], g[1024];
    uint64_t range[2] = { 512, 512 };
    fill(65536 + 100); /* the last 100 bytes make no sector */
    CHECK(ioctl(fd, LOOP_SET_FD, backing) == 0);
    CHECK_ERR(ioctl(fd, LOOP_SET_FD, backing), EBUSY);
    CHECK(size_of(fd) == 65536);
    unsigned long sectors;
    int n;
    CHECK(ioctl(fd, BLKGETSIZE, &sectors) == 0 && sectors == 128);
    CHECK(ioctl(fd, BLKSSZGET, &n) == 0 && n == 512);
    CHECK(ioctl(fd, BLKROGET, &n) == 0 && n == 0);
    CHECK(lseek(fd, 0, SEEK_END) == 65536);
    char line[128], want[64];
    int listed = 0;
    snprintf(want, sizeof want, " 64 %s\n", name + 5);
    FILE *parts = fopen("/proc/partitions", "r");
    while (parts && fgets(line, sizeof line, parts)) listed |= strstr(line, want) != NULL;
    CHECK(parts && fclose(parts) == 0 && listed);
    CHECK(read(fd, b, 1) == 0);
    CHECK_ERR(write(fd, b, 512), ENOSPC);
    CHECK(pread(fd, b, 1024, 65536 - 512) == 512 && b[0] == 'a' + 127 % 26);
    CHECK(pread(fd, b, 512, 512) == 512 && b[0] == 'b' && b[511] == 'b');
    memset(b, 'X', sizeof b);
    CHECK(pwrite(fd, b, 1024, 65536 - 512) == 512); /* what fits */
    CHECK(pwrite(fd, b, 3, 513) == 3 && fsync(fd) == 0);
    CHECK(pread(backing, g, 8, 512) == 8 && !memcmp(g, "bXXXbbbb", 8));
    CHECK(ioctl(fd, BLKZEROOUT, range) == 0 && fsync(fd) == 0);
    CHECK(pread(fd, g, 1024, 512) == 1024 && g[0] == 0 && g[511] == 0 && g[512] == 'c');
    range[0] = 1;
    CHECK_ERR(ioctl(fd, BLKZEROOUT, range), EINVAL);
    range[0] = 65536;
    CHECK_ERR(ioctl(fd, BLKDISCARD, range), EINVAL);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1024, 512) == 0);
    CHECK(pread(fd, g, 512, 1024) == 512 && g[0] == 0 && g[511] == 0);
    CHECK_ERR(fallocate(fd, 0, 0, 512), EOPNOTSUPP);
    struct loop_info64 info;
    CHECK(ioctl(fd, LOOP_CLR_FD) == 0);
    CHECK_ERR(ioctl(fd, LOOP_GET_STATUS64, &info), ENXIO);
    if (kernel_since(6, 11, "unbinding at the last close")) CHECK_ERR(open(name, O_RDONLY), ENXIO);
    close(fd);
}

static void status(void)
{
    int fd = open_free(O_RDWR);
    struct loop_info64 info = { 0 };
    struct stat st;
    char c;
    fill(8192);
    CHECK(ioctl(fd, LOOP_SET_FD, backing) == 0);
    info.lo_offset = 1024;
    info.lo_sizelimit = 2048;
    strcpy((char *)info.lo_file_name, "a name");
    CHECK(ioctl(fd, LOOP_SET_STATUS64, &info) == 0);
    CHECK(size_of(fd) == 2048 && pread(fd, &c, 1, 0) == 1 && c == 'c');
    memset(&info, 0xff, sizeof info);
    CHECK(ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && fstat(backing, &st) == 0);
    CHECK(info.lo_offset == 1024 && info.lo_sizelimit == 2048 && !strcmp((char *)info.lo_file_name, "a name"));
    CHECK(info.lo_inode == st.st_ino && info.lo_flags == 0 && info.lo_number == (unsigned)atoi(name + 9));
    struct loop_info old;
    if (st.st_dev < 65536 && st.st_ino < 1u << 31) {
        CHECK(ioctl(fd, LOOP_GET_STATUS, &old) == 0 && old.lo_offset == 1024 && !strcmp(old.lo_name, "a name"));
    }
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/sys/block/%s/loop/backing_file", name + 5);
    FILE *f = fopen(path, "r");
    CHECK(f && fgets(text, sizeof text, f) && fclose(f) == 0 && !strncmp(text, file, strlen(file)) && text[strlen(file)] == '\n');
    info.lo_sizelimit = info.lo_offset = 0;
    CHECK(ioctl(fd, LOOP_SET_STATUS64, &info) == 0 && size_of(fd) == 8192);
    fill(16384);
    CHECK(size_of(fd) == 8192);
    CHECK(ioctl(fd, LOOP_SET_CAPACITY) == 0 && size_of(fd) == 16384);
    info.lo_encrypt_type = 18;
    CHECK_ERR(ioctl(fd, LOOP_SET_STATUS64, &info), EINVAL);
    CHECK_ERR(ioctl(fd, LOOP_CHANGE_FD, backing), EINVAL); /* only under a read-only device */
    CHECK(ioctl(fd, LOOP_CLR_FD) == 0);
    close(fd);
}

static void configure(void)
{
    int fd = open_free(O_RDWR);
    int ro = open(file, O_RDONLY), n;
    struct loop_config c = { .fd = (unsigned)ro, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
    struct loop_info64 info;
    fill(8192);
    c.block_size = 1000;
    CHECK_ERR(ioctl(fd, LOOP_CONFIGURE, &c), EINVAL);
    c.block_size = 1024;
    if (ioctl(fd, LOOP_CONFIGURE, &c) < 0 && errno == EINVAL) SKIP("no LOOP_CONFIGURE"); /* before Linux 5.8 */
    CHECK(ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_flags == (LO_FLAGS_AUTOCLEAR | LO_FLAGS_READ_ONLY));
    CHECK(ioctl(fd, BLKROGET, &n) == 0 && n == 1);
    CHECK(ioctl(fd, BLKSSZGET, &n) == 0 && n == 1024);
    CHECK_ERR(pwrite(fd, "x", 1, 0), EPERM);
    /* With two openers the device is let go by the last. */
    int second = open(name, O_RDONLY);
    CHECK(second >= 0 && ioctl(fd, LOOP_CLR_FD) == 0 && size_of(second) == 8192);
    close(fd);
    CHECK(size_of(second) == 8192);
    close(second);
    for (int i = 0; i < 200; i++) { /* the host's last close may be later than the call */
        fd = open(name, O_RDONLY);
        if (fd < 0 || !size_of(fd)) break;
        close(fd);
        usleep(10000);
    }
    CHECK(fd < 0 || size_of(fd) == 0);
    close(fd);
    close(ro);
}

static void control(void)
{
    int fd = open_free(O_RDWR), n = atoi(name + 9);
    int ctl = open("/dev/loop-control", O_RDWR);
    CHECK_ERR(ioctl(ctl, LOOP_CTL_ADD, n), EEXIST);
    CHECK_ERR(ioctl(ctl, LOOP_CTL_REMOVE, n), EBUSY); /* it is open */
    CHECK_ERR(ioctl(fd, TCGETS, &n), EINVAL);
    close(fd);
    close(ctl);
}

TEST_MAIN(CASE(unbound), CASE(transfers), CASE(status), CASE(configure), CASE(control))
