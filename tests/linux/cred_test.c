/* User and group ids, capabilities, uname. As root it also drops and checks what is lost. */
#include "check.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static void plain(void)
{
    uid_t r, e, s;
    gid_t g[64];
    CHECK(getresuid(&r, &e, &s) == 0 && r == getuid() && e == geteuid());
    CHECK(setuid(getuid()) == 0 && setresuid(-1, -1, -1) == 0);
    CHECK_ERR(setuid(-1), EINVAL);
    CHECK(setfsuid(-1) == (int)geteuid());
    CHECK(getgroups(0, NULL) >= 0);
    CHECK_ERR(syscall(SYS_getgroups, -1, g), EINVAL);
    struct utsname u;
    CHECK(uname(&u) == 0 && !strcmp(u.sysname, "Linux") && !strcmp(u.machine, "x86_64"));
}

static void caps(void)
{
    struct __user_cap_header_struct h = { 0x1234, 0 };
    struct __user_cap_data_struct d[2];
    CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
    CHECK(h.version == _LINUX_CAPABILITY_VERSION_3);
    CHECK(syscall(SYS_capget, &h, d) == 0);
    CHECK(syscall(SYS_capset, &h, d) == 0);
    h.pid = 0x3ffffff;
    CHECK_ERR(syscall(SYS_capget, &h, d), ESRCH);
    CHECK_ERR(syscall(SYS_capset, &h, d), EPERM);
    h.pid = -1;
    CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
}

static void in_child(void (*fn)(void))
{
    int st;
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        fn();
        _exit(0);
    }
    CHECK(waitpid(k, &st, 0) == k && st == 0);
}

static void root_drops(void)
{
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2];
    gid_t in[3] = { 30, 10, 20 }, out[3];
    CHECK(setgroups(3, in) == 0 && getgroups(3, out) == 3 && out[0] == 10 && out[2] == 30);
    CHECK_ERR(getgroups(2, out), EINVAL);
    CHECK(setresgid(100, 200, 300) == 0 && getgid() == 100 && getegid() == 200);
    CHECK(seteuid(1000) == 0);
    CHECK(syscall(SYS_capget, &h, d) == 0 && d[0].effective == 0 && d[0].permitted != 0);
    CHECK(seteuid(0) == 0);
    CHECK(syscall(SYS_capget, &h, d) == 0 && d[0].effective != 0);
    CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0);
    CHECK(setresuid(1000, 1001, 1002) == 0);
    CHECK(syscall(SYS_capget, &h, d) == 0 && d[0].effective == 0 && d[0].permitted != 0);
    d[0].permitted = d[1].permitted = 0;
    CHECK(syscall(SYS_capset, &h, d) == 0);
    CHECK_ERR(setuid(0), EPERM);
    CHECK(setreuid(1001, 1000) == 0);
    CHECK_ERR(setgroups(0, NULL), EPERM);
    CHECK_ERR(sethostname("x", 1), EPERM);
    d[0].permitted = 1;
    CHECK_ERR(syscall(SYS_capset, &h, d), EPERM);
}

static void dropping(void)
{
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
    unsigned need = 1u << CAP_SETUID | 1u << CAP_SETGID;
    if (geteuid() != 0 || syscall(SYS_capget, &h, d) || (d[0].effective & need) != need) return;
    in_child(root_drops);
}

TEST_MAIN(CASE(plain), CASE(caps), CASE(dropping))
