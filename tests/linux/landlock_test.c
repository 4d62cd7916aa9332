/* Landlock, landlock(7): rulesets that a process puts on itself. */
#include "tmpdir.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <termios.h>

#define EXECUTE (1ull << 0)
#define WRITE_FILE (1ull << 1)
#define READ_FILE (1ull << 2)
#define READ_DIR (1ull << 3)
#define REMOVE_DIR (1ull << 4)
#define REMOVE_FILE (1ull << 5)
#define MAKE_DIR (1ull << 7)
#define MAKE_REG (1ull << 8)
#define MAKE_SOCK (1ull << 9)
#define MAKE_FIFO (1ull << 10)
#define MAKE_SYM (1ull << 12)
#define REFER (1ull << 13)
#define TRUNCATE (1ull << 14)
#define IOCTL_DEV (1ull << 15)
#define FS_ALL 0xffffull

struct attr { uint64_t fs, net, scoped; };
struct beneath { uint64_t access; int32_t fd; } __attribute__((packed));
struct port { uint64_t access, port; };

static int create(uint64_t fs, uint64_t net, uint64_t scoped)
{
    struct attr a = { fs, net, scoped };
    int fd = (int)syscall(444, &a, sizeof(a), 0);
    CHECK(fd >= 0);
    return fd;
}
static long add(int rs, uint64_t access, int fd) { return syscall(445, rs, 1, &(struct beneath){ access, fd }, 0); }
static void grant(int rs, const char *path, uint64_t access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    CHECK(fd >= 0 && add(rs, access, fd) == 0 && close(fd) == 0);
}
static void restrict_self(int rs)
{
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(446, rs, 0) == 0 && close(rs) == 0);
}
#define DENIED(expr) CHECK_ERR(expr, EACCES)
static int try_open(const char *p, int flags)
{
    int fd = open(p, flags, 0600);
    if (fd < 0) return -1;
    close(fd);
    return 0;
}

static void interface_body(void)
{
    struct attr a = { READ_FILE, 0, 0 };
    char big[4096 + 8] = { 0 };
    int p[2];

    CHECK(syscall(444, NULL, 0, 1) >= 6);
    CHECK_ERR(syscall(444, &a, sizeof(a), 1), EINVAL);
    CHECK_ERR(syscall(444, &a, sizeof(a), 0x1000), EINVAL);
    CHECK_ERR(syscall(444, NULL, sizeof(a), 0), EFAULT);
    CHECK_ERR(syscall(444, &a, 7, 0), EINVAL);
    CHECK_ERR(syscall(444, big, sizeof(big), 0), E2BIG);
    big[0] = READ_FILE;
    int fd = (int)syscall(444, big, 256, 0);
    CHECK(fd >= 0 && close(fd) == 0);
    big[200] = 1;
    CHECK_ERR(syscall(444, big, 256, 0), E2BIG);
    a.fs = 0;
    CHECK_ERR(syscall(444, &a, sizeof(a), 0), ENOMSG);
    a.fs = 1ull << 40;
    CHECK_ERR(syscall(444, &a, sizeof(a), 0), EINVAL);
    a = (struct attr){ 0, 1ull << 60, 0 };
    CHECK_ERR(syscall(444, &a, sizeof(a), 0), EINVAL);
    a = (struct attr){ 0, 0, 1ull << 60 };
    CHECK_ERR(syscall(444, &a, sizeof(a), 0), EINVAL);

    fd = create(READ_FILE | READ_DIR, 1, 0);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK_ERR(read(fd, big, 1), EINVAL);
    int dir = open(".", O_PATH), file = open("/proc/self/exe", O_RDONLY);
    CHECK(dir >= 0 && file >= 0 && pipe(p) == 0);
    CHECK(add(fd, READ_FILE, dir) == 0 && add(fd, READ_DIR, dir) == 0 && add(fd, READ_FILE, file) == 0);
    CHECK_ERR(add(fd, READ_DIR, file), EINVAL);
    CHECK_ERR(add(fd, 0, dir), ENOMSG);
    CHECK_ERR(add(fd, WRITE_FILE, dir), EINVAL);
    CHECK_ERR(add(fd, READ_FILE, 999), EBADF);
    CHECK_ERR(add(fd, READ_FILE, fd), EBADFD);
    CHECK_ERR(add(fd, READ_FILE, p[0]), EBADFD);
    CHECK_ERR(add(999, READ_FILE, dir), EBADF);
    CHECK_ERR(add(dir, READ_FILE, dir), EBADF);
    CHECK_ERR(add(file, READ_FILE, dir), EBADFD);
    CHECK_ERR(syscall(445, fd, 1, NULL, 0), EFAULT);
    CHECK_ERR(syscall(445, fd, 9, &a, 0), EINVAL);
    CHECK_ERR(syscall(445, fd, 1, &a, 1), EINVAL);
    CHECK(syscall(445, fd, 2, &(struct port){ 1, 80 }, 0) == 0);
    CHECK_ERR(syscall(445, fd, 2, &(struct port){ 1, 65536 }, 0), EINVAL);
    CHECK_ERR(syscall(445, fd, 2, &(struct port){ 2, 80 }, 0), EINVAL);
    CHECK_ERR(syscall(445, fd, 2, &(struct port){ 0, 80 }, 0), ENOMSG);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK_ERR(syscall(446, -1, 0), EBADF);
    CHECK_ERR(syscall(446, file, 0), EBADFD);
    CHECK_ERR(syscall(446, fd, 0x4000), EINVAL);
}

static void interface(void) { in_child(interface_body, 0); }

static void no_privileges_body(void)
{
    int fd = create(READ_FILE, 0, 0);
    CHECK_ERR(syscall(446, fd, 0), EPERM);
    restrict_self(fd);
}
static void no_privileges(void)
{
    if (getuid() == 0) in_child(no_privileges_body, 12345);
    else in_child(no_privileges_body, 0);
}

/* a/ is granted, b/ is not. */
static void tree(void)
{
    CHECK(mkdir("a", 0777) == 0 && mkdir("a/d", 0777) == 0 && mkdir("b", 0777) == 0 && mkdir("b/d", 0777) == 0);
    put_file("a/f", "in");
    put_file("b/f", "out");
    put_file("b/one", "alone");
}
static void tree_gone(void)
{
    const char *files[] = { "a/f", "b/f", "b/one", "a/new", "b/new", "a/g", "b/g", "a/d/f", "a/link", "b/link", "a/d/link" };
    const char *dirs[] = { "a/d/x", "a/x", "a/d", "b/d", "a", "b", "c" };
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) unlink(files[i]);
    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) rmdir(dirs[i]);
}

static void files_body(void)
{
    int rs = create(FS_ALL & ~(EXECUTE | IOCTL_DEV), 0, 0), before = open("b/f", O_RDWR), kept = open("b", O_RDONLY | O_DIRECTORY);
    CHECK(before >= 0 && kept >= 0);
    grant(rs, "a", FS_ALL & ~(EXECUTE | IOCTL_DEV));
    grant(rs, "b/one", READ_FILE);
    restrict_self(rs);
    CHECK(try_open("a/f", O_RDWR | O_TRUNC) == 0 && try_open("a", O_RDONLY) == 0 && try_open("b/one", O_RDONLY) == 0);
    DENIED(try_open("b/one", O_WRONLY));
    DENIED(try_open("b/f", O_RDONLY));
    DENIED(try_open("b/f", O_WRONLY));
    DENIED(try_open("b", O_RDONLY | O_DIRECTORY));
    CHECK(try_open("b/f", O_PATH) == 0);
    DENIED(try_open("b/new", O_CREAT | O_WRONLY));
    DENIED(mkdir("b/x", 0700));
    DENIED(symlink("x", "b/s"));
    DENIED(mknod("b/p", S_IFIFO | 0600, 0));
    DENIED(mknod("b/s", S_IFSOCK | 0600, 0));
    DENIED(unlink("b/f"));
    DENIED(rmdir("b/d"));
    DENIED(truncate("b/f", 1));
    DENIED(rename("b/f", "b/g"));
    DENIED(link("b/f", "b/g"));
    CHECK_ERR(try_open("b/none", O_RDONLY), ENOENT);
    CHECK(access("b/f", R_OK) == 0 && chmod("b/f", 0600) == 0);   /* what landlock does not know stays */
    CHECK(try_open("a/new", O_CREAT | O_WRONLY) == 0 && rename("a/new", "a/g") == 0 && unlink("a/g") == 0);
    CHECK(mkdir("a/x", 0700) == 0 && rmdir("a/x") == 0 && symlink("x", "a/link") == 0 && unlink("a/link") == 0);
    CHECK(truncate("a/f", 1) == 0);
    /* Descriptors from before stay what they were; paths through them do not. */
    char c;
    CHECK(read(before, &c, 1) == 1 && ftruncate(before, 2) == 0);
    DENIED(openat(kept, "f", O_RDONLY));
    char link_[64];
    snprintf(link_, sizeof(link_), "/proc/self/fd/%d", before);
    DENIED(try_open(link_, O_RDONLY));
    int p[2];
    CHECK(pipe(p) == 0);
    /* ...but what is mounted nowhere is always open. */
    snprintf(link_, sizeof(link_), "/dev/fd/%d", p[0]);
    int proc = open("/proc/self/fd", O_PATH);
    CHECK(proc >= 0);
    snprintf(link_, sizeof(link_), "%d", p[0]);
    int again = openat(proc, link_, O_RDONLY | O_NONBLOCK);
    CHECK(again >= 0);
    CHECK_ERR(mount("x", "a", "tmpfs", 0, NULL), EPERM);
    CHECK_ERR(umount("/proc"), EPERM);
}
static void files(void)
{
    tree();
    in_child(files_body, 0);
    tree_gone();
}

static void truncation_body(void)
{
    int rs = create(WRITE_FILE | TRUNCATE, 0, 0);
    grant(rs, "a", WRITE_FILE | TRUNCATE);
    grant(rs, "b", WRITE_FILE);
    restrict_self(rs);
    int fd = open("b/f", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1);
    DENIED(ftruncate(fd, 0));
    DENIED(truncate("b/f", 0));
    DENIED(try_open("b/f", O_WRONLY | O_TRUNC));
    DENIED(try_open("b/f", O_RDONLY | O_TRUNC));
    CHECK(try_open("b/new", O_WRONLY | O_CREAT | O_TRUNC) == 0);
    fd = open("a/f", O_WRONLY | O_TRUNC);
    CHECK(fd >= 0 && ftruncate(fd, 5) == 0 && truncate("a/f", 0) == 0);
}
static void truncation(void)
{
    tree();
    in_child(truncation_body, 0);
    tree_gone();
}

static void execution_body(void)
{
    char *argv[] = { (char *)"b/f", NULL };
    int rs = create(EXECUTE, 0, 0);
    grant(rs, "a", EXECUTE);
    restrict_self(rs);
    CHECK_ERR(execv("b/f", argv), EACCES);
    CHECK_ERR(execv("a/f", argv), ENOEXEC);
}
static void execution(void)
{
    tree();
    CHECK(chmod("a/f", 0755) == 0 && chmod("b/f", 0755) == 0);
    in_child(execution_body, 0);
    tree_gone();
}

/* Each layer has to agree; there are 16. */
static void layers_body(void)
{
    int rs = create(READ_FILE, 0, 0);
    grant(rs, "a", READ_FILE);
    grant(rs, "b", READ_FILE);
    restrict_self(rs);
    CHECK(try_open("a/f", O_RDONLY) == 0 && try_open("b/f", O_RDONLY) == 0);
    rs = create(WRITE_FILE, 0, 0);
    restrict_self(rs);
    CHECK(try_open("a/f", O_RDONLY) == 0);
    DENIED(try_open("a/f", O_WRONLY));
    rs = create(READ_FILE, 0, 0);
    grant(rs, "a", READ_FILE);
    restrict_self(rs);
    CHECK(try_open("a/f", O_RDONLY) == 0);
    DENIED(try_open("b/f", O_RDONLY));
    for (int i = 3; i < 16; i++) restrict_self(create(MAKE_FIFO, 0, 0));
    rs = create(MAKE_FIFO, 0, 0);
    CHECK_ERR(syscall(446, rs, 0), E2BIG);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        DENIED(try_open("b/f", O_RDONLY));
        _exit(0);
    }
    int st;
    CHECK(waitpid(pid, &st, 0) == pid && st == 0);
}
static void layers(void)
{
    tree();
    in_child(layers_body, 0);
    tree_gone();
}

/* Moving a file must not give it rights. */
static void refer_plain(void)
{
    int rs = create(READ_FILE, 0, 0);     /* REFER is denied unasked */
    grant(rs, "/", READ_FILE);
    restrict_self(rs);
    CHECK(rename("a/f", "a/g") == 0);
    CHECK_ERR(rename("a/g", "b/g"), EXDEV);
    CHECK_ERR(link("a/g", "b/g"), EXDEV);
    CHECK_ERR(rename("a/g", "a/d/f"), EXDEV);
    CHECK(rename("a/g", "a/f") == 0);
}
static void refer_granted(void)
{
    int rs = create(READ_FILE | WRITE_FILE | REFER | MAKE_REG | REMOVE_FILE, 0, 0);
    grant(rs, "a", READ_FILE | REFER | MAKE_REG | REMOVE_FILE);
    grant(rs, "b", READ_FILE | WRITE_FILE | REFER | MAKE_REG | REMOVE_FILE);
    restrict_self(rs);
    CHECK(rename("a/f", "a/d/f") == 0 && rename("a/d/f", "a/f") == 0);
    CHECK_ERR(rename("a/f", "b/g"), EXDEV);          /* it could be written there */
    CHECK_ERR(link("a/f", "b/g"), EXDEV);
    CHECK(rename("b/f", "a/g") == 0);                /* and this way it only loses */
    CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "a/f", AT_FDCWD, "b/one", 2 /* RENAME_EXCHANGE */), EXDEV);
    CHECK_ERR(rename("a/f", "c/f"), EACCES);         /* nothing may be made there: said first */
    CHECK_ERR(rename("b/one", "a/none/x"), ENOENT);
}
static void refer_rights(void)
{
    int rs = create(REFER | MAKE_REG | REMOVE_FILE, 0, 0);
    grant(rs, ".", REFER | MAKE_REG);
    grant(rs, "a", REMOVE_FILE);
    restrict_self(rs);
    CHECK(rename("a/f", "b/g") == 0);
    DENIED(rename("b/g", "a/f"));
    CHECK(link("b/g", "a/link") == 0);
    DENIED(rename("a/link", "b/f"));                 /* which would remove the one there */
}
static void refer(void)
{
    tree();
    CHECK(mkdir("c", 0777) == 0);
    in_child(refer_plain, 0);
    in_child(refer_granted, 0);
    tree_gone();
    tree();
    in_child(refer_rights, 0);
    tree_gone();
}

static void devices_body(void)
{
    struct termios t;
    int before = open("/dev/null", O_RDONLY), rs = create(IOCTL_DEV, 0, 0), n = 1;
    grant(rs, "/dev/zero", IOCTL_DEV);
    restrict_self(rs);
    int fd = open("/dev/null", O_RDONLY), zero = open("/dev/zero", O_RDONLY);
    CHECK(before >= 0 && fd >= 0 && zero >= 0);
    CHECK_ERR(ioctl(fd, TCGETS, &t), EACCES);
    CHECK_ERR(ioctl(before, TCGETS, &t), ENOTTY);
    CHECK_ERR(ioctl(zero, TCGETS, &t), ENOTTY);
    CHECK(ioctl(fd, FIONBIO, &n) == 0 && ioctl(fd, FIOCLEX) == 0);
    CHECK_ERR(ioctl(fd, FIONREAD, &n), EACCES);
    put_file("plain", "abc");
    fd = open("plain", O_RDONLY);
    CHECK(fd >= 0 && ioctl(fd, FIONREAD, &n) == 0 && n == 3 && unlink("plain") == 0);
}
static void devices(void) { in_child(devices_body, 0); }

static int tcp(int family)
{
    int s = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(s >= 0);
    return s;
}
static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static uint16_t listening;
static void ports_body(void)
{
    struct sockaddr_in ok = loopback(0), no = loopback(1), there = loopback(listening);
    int rs = create(0, 3, 0);
    CHECK(syscall(445, rs, 2, &(struct port){ 1, 0 }, 0) == 0);
    CHECK(syscall(445, rs, 2, &(struct port){ 2, listening }, 0) == 0);
    restrict_self(rs);
    int s = tcp(AF_INET);
    DENIED(bind(s, (void *)&no, sizeof(no)));
    CHECK(bind(s, (void *)&ok, sizeof(ok)) == 0);
    DENIED(connect(s, (void *)&no, sizeof(no)));
    CHECK(connect(s, (void *)&there, sizeof(there)) == 0);
    struct sockaddr none = { .sa_family = AF_UNSPEC };
    CHECK(connect(s, &none, sizeof(none)) == 0);
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(u >= 0 && connect(u, (void *)&no, sizeof(no)) == 0);   /* UDP is not its business */
    close(s);
    s = tcp(AF_INET6);
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(1), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    DENIED(connect(s, (void *)&six, sizeof(six)));
    DENIED(bind(s, (void *)&six, sizeof(six)));
}
static void ports(void)
{
    struct sockaddr_in a = loopback(0);
    socklen_t n = sizeof(a);
    int s = tcp(AF_INET);
    CHECK(bind(s, (void *)&a, sizeof(a)) == 0 && listen(s, 5) == 0 && getsockname(s, (void *)&a, &n) == 0);
    listening = ntohs(a.sin_port);
    in_child(ports_body, 0);
    close(s);
}

static socklen_t abstract(struct sockaddr_un *a, const char *name)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int n = snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "%s-%d", name, getppid());
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}
static int unix_listen(const char *name, int type)
{
    struct sockaddr_un a;
    int s = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    socklen_t n = abstract(&a, name);
    CHECK(s >= 0 && bind(s, (void *)&a, n) == 0 && (type == SOCK_DGRAM || listen(s, 5) == 0));
    return s;
}
static int unix_to(const char *name, int type)
{
    struct sockaddr_un a;
    int s = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), r;
    socklen_t n = abstract(&a, name);
    CHECK(s >= 0);
    r = connect(s, (void *)&a, n);
    if (r == 0 && type == SOCK_DGRAM) r = send(s, "x", 1, 0) == 1 ? 0 : -1;
    int e = errno;
    close(s);
    errno = e;
    return r;
}
/* All in one process: a socket belongs to the domain that made it. */
static void abstract_body(void)
{
    struct sockaddr_un a, path = { .sun_family = AF_UNIX, .sun_path = "sock" };
    int named = socket(AF_UNIX, SOCK_STREAM, 0), joined = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(bind(named, (void *)&path, sizeof(path)) == 0 && listen(named, 1) == 0);
    unix_listen("out", SOCK_STREAM);
    unix_listen("out-d", SOCK_DGRAM);
    socklen_t n = abstract(&a, "out-d");
    CHECK(connect(joined, (void *)&a, n) == 0);
    CHECK(unix_to("out", SOCK_STREAM) == 0 && unix_to("out-d", SOCK_DGRAM) == 0);
    restrict_self(create(0, 0, 1));
    CHECK_ERR(unix_to("out", SOCK_STREAM), EPERM);
    CHECK_ERR(unix_to("out-d", SOCK_DGRAM), EPERM);
    CHECK(send(joined, "x", 1, 0) == 1);
    int s = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_ERR(sendto(s, "x", 1, 0, (void *)&a, n), EPERM);
    unix_listen("in", SOCK_STREAM);
    unix_listen("in-d", SOCK_DGRAM);
    CHECK(unix_to("in", SOCK_STREAM) == 0 && unix_to("in-d", SOCK_DGRAM) == 0);
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(s, (void *)&path, sizeof(path)) == 0 && unlink("sock") == 0);
}
static void abstract_scope(void) { in_child(abstract_body, 0); }

static void signal_body(void)
{
    int p[2], go[2], st;
    char c;
    CHECK(pipe(p) == 0 && pipe(go) == 0);
    pid_t outside = fork();
    CHECK(outside >= 0);
    if (!outside) {
        pause();
        _exit(0);
    }
    restrict_self(create(0, 0, 2));
    CHECK_ERR(kill(outside, 0), EPERM);
    CHECK_ERR(kill(outside, SIGKILL), EPERM);
    CHECK_ERR(syscall(SYS_tgkill, outside, outside, SIGTERM), EPERM);
    CHECK(kill(getpid(), 0) == 0);
    pid_t inside = fork();
    CHECK(inside >= 0);
    if (!inside) {
        restrict_self(create(0, 0, 2));       /* a domain below may be reached, the one above not */
        CHECK_ERR(kill(getppid(), 0), EPERM);
        CHECK(write(p[1], "r", 1) == 1);
        pause();
        _exit(0);
    }
    CHECK(read(p[0], &c, 1) == 1 && kill(inside, SIGKILL) == 0 && waitpid(inside, &st, 0) == inside && WTERMSIG(st) == SIGKILL);
    /* A trace is kept inside whatever the scopes are. */
    CHECK_ERR(ptrace(PTRACE_ATTACH, outside, NULL, NULL), EPERM);
    (void)go;
}
static pid_t left_behind;
static void signal_scope(void)
{
    (void)left_behind;
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    in_child(signal_body, 0);
    /* The one it could not end. */
    for (pid_t pid = 1; pid > 0;) {
        char path[64], text[64] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
        FILE *f = fopen(path, "r");
        if (f && fgets(text, sizeof(text), f) && atoi(text) > 0) kill(atoi(text), SIGKILL);
        if (f) fclose(f);
        pid = waitpid(-1, NULL, 0);
    }
}

static void exec_keeps_body(void)
{
    int rs = create(READ_FILE | WRITE_FILE, 0, 0);
    grant(rs, "/", READ_FILE);
    restrict_self(rs);
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    CHECK(n > 0);
    exe[n] = 0;
    execl(exe, "landlock", "--denied", NULL);
    _exit(3);
}
static void exec_keeps(void)
{
    tree();
    in_child(exec_keeps_body, 0);
    tree_gone();
}

/* The rule is the directory's, not its name's. */
static void moved_body(void)
{
    int rs = create(READ_FILE, 0, 0);
    grant(rs, "a", READ_FILE);
    restrict_self(rs);
    CHECK(rename("a", "c") == 0);
    CHECK(try_open("c/f", O_RDONLY) == 0);
    CHECK(mkdir("a", 0700) == 0);
    put_file("a/new", "x");
    DENIED(try_open("a/new", O_RDONLY));
}
static void moved(void)
{
    tree();
    in_child(moved_body, 0);
    unlink("c/f");
    rmdir("c/d");
    tree_gone();
}

/* lsm_list_modules(2), Linux 6.8: capabilities are there, and this one behind them. */
static void listed(void)
{
    uint64_t ids[64];
    uint32_t size = sizeof ids, none = 0;
    long n = syscall(461, ids, &size, 0), capability = -1, landlock = -1;
    if (n < 0 && errno == ENOSYS) {
        printf("skipped: no lsm_list_modules\n");
        return;
    }
    CHECK(n > 1 && size == (uint32_t)n * 8);
    for (long i = 0; i < n; i++) {
        if (ids[i] == 100) capability = i;
        if (ids[i] == 110) landlock = i;
    }
    CHECK(capability >= 0 && landlock > capability);
    CHECK_ERR(syscall(461, ids, &none, 0), E2BIG);
    CHECK(none == size);
    CHECK_ERR(syscall(461, ids, &size, 1), EINVAL);
    CHECK_ERR(syscall(461, ids, NULL, 0), EFAULT);
    CHECK_ERR(syscall(461, NULL, &size, 0), EFAULT);
}

static const struct test_case cases[] = {
    CASE(interface), CASE(listed), CASE(no_privileges), CASE(files), CASE(truncation), CASE(execution), CASE(layers), CASE(refer), CASE(devices),
    CASE(ports), CASE(abstract_scope), CASE(signal_scope), CASE(exec_keeps), CASE(moved),
};
int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--denied")) {
        DENIED(try_open("a/f", O_WRONLY));
        return try_open("a/f", O_RDONLY);
    }
    if (syscall(444, NULL, 0, 1) < 6) {
        printf("skipped: this Linux has no Landlock of ABI 6\n");
        return 0;
    }
    tmpdir_enter();
    return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
