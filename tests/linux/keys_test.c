/* Key rings: keyrings(7), add_key(2), request_key(2), keyctl(2). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <linux/keyctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PERM(p, u, g, o) ((unsigned)(p) << 24 | (u) << 16 | (g) << 8 | (o))
#define TEST_UID 54322

static int add(const char *type, const char *desc, const void *p, size_t n, int ring) { return (int)syscall(SYS_add_key, type, desc, p, n, ring); }
static int request(const char *type, const char *desc, const char *info, int ring) { return (int)syscall(SYS_request_key, type, desc, info, ring); }
static long ctl(int op, long a, long b, long c, long d) { return syscall(SYS_keyctl, op, a, b, c, d); }
#define CTL(op, ...) CTL_(op, __VA_ARGS__, 0, 0, 0, 0)
#define CTL_(op, a, b, c, d, ...) ctl(KEYCTL_##op, (long)(a), (long)(b), (long)(c), (long)(d))
static int user(const char *desc, const char *text, int ring) { return add("user", desc, text, strlen(text), ring); }

/* In a child with a session of its own, so that nothing is left behind. */
static void in_child(void (*fn)(void))
{
    int st;
    pid_t c = fork();
    CHECK(c >= 0);
    if (!c) {
        alarm(30);
        CHECK(CTL(JOIN_SESSION_KEYRING, NULL) > 0);
        fn();
        exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}

static void expect_text(int id, const char *text)
{
    char buf[256];
    long n = CTL(READ, id, buf, sizeof buf);
    CHECK(n == (long)strlen(text) && !memcmp(buf, text, (size_t)n));
}

static void add_body(void)
{
    char big[40000] = "x";
    int r = KEY_SPEC_SESSION_KEYRING, k = user("a", "one", r);
    CHECK(k > 0);
    expect_text(k, "one");
    CHECK(user("a", "two", r) == k);           /* the same one, with another payload */
    expect_text(k, "two");
    CHECK_ERR(add("user", "a", "x", 0, r), EINVAL);
    CHECK_ERR(add("user", "a", big, 32768, r), EINVAL);
    CHECK(add("user", "a", big, 32767, r) == k);
    CHECK_ERR(add("user", "", "x", 1, r), EINVAL);
    CHECK_ERR(add("user", NULL, "x", 1, r), EINVAL);
    CHECK_ERR(add("user", "b", (void *)8, 1, r), EFAULT);
    CHECK_ERR(add("nosuchtype", "b", "x", 1, r), ENODEV);
    CHECK_ERR(add("", "b", "x", 1, r), EINVAL);
    CHECK_ERR(add(".x", "b", "x", 1, r), EPERM);
    CHECK_ERR(add("keyring", ".x", NULL, 0, r), EPERM);
    CHECK_ERR(add("keyring", "b", "x", 1, r), EINVAL);
    CHECK_ERR(user("b", "x", k), ENOTDIR);
    CHECK_ERR(user("b", "x", KEY_SPEC_GROUP_KEYRING), EINVAL);
    CHECK_ERR(user("b", "x", 0), EINVAL);
    CHECK_ERR(user("b", "x", 0x7ffffff1), ENOKEY);
    /* logon: has a service, is never read. */
    CHECK_ERR(add("logon", "plain", "x", 1, r), EINVAL);
    CHECK_ERR(add("logon", ":x", "x", 1, r), EINVAL);
    int l = add("logon", "svc:x", "secret", 6, r);
    CHECK(l > 0);
    CHECK_ERR(CTL(READ, l, big, sizeof big), EOPNOTSUPP);
    CHECK(CTL(UPDATE, l, "other", 5) == 0);
}
static void add_key_(void) { in_child(add_body); }

static void describe_body(void)
{
    char buf[256], want[256];
    int r = KEY_SPEC_SESSION_KEYRING, k = user("some name", "x", r), g = add("keyring", "ring", NULL, 0, r);
    snprintf(want, sizeof want, "user;%d;%d;3f010000;some name", getuid(), getgid());
    CHECK(CTL(DESCRIBE, k, buf, sizeof buf) == (long)strlen(want) + 1 && !strcmp(buf, want));
    strcpy(buf, "kept");
    CHECK(CTL(DESCRIBE, k, buf, 5) == (long)strlen(want) + 1 && !strcmp(buf, "kept"));
    CHECK(CTL(DESCRIBE, k, NULL, 0) == (long)strlen(want) + 1);
    CHECK(CTL(DESCRIBE, g, buf, sizeof buf) > 0 && strstr(buf, ";3f010000;ring"));
    CHECK(CTL(DESCRIBE, add("logon", "a:b", "x", 1, r), buf, sizeof buf) > 0 && strstr(buf, ";3d010000;a:b"));
    CHECK(CTL(DESCRIBE, r, buf, sizeof buf) > 0 && strstr(buf, ";3f030000;_ses"));
    CHECK(CTL(DESCRIBE, KEY_SPEC_USER_KEYRING, buf, sizeof buf) > 0);
    snprintf(want, sizeof want, "keyring;%d;65534;1f3f0000;_uid.%d", getuid(), getuid());
    CHECK(!strcmp(buf, want));
    CHECK(CTL(DESCRIBE, KEY_SPEC_USER_SESSION_KEYRING, buf, sizeof buf) > 0);
    snprintf(want, sizeof want, "keyring;%d;65534;1f3f0000;_uid_ses.%d", getuid(), getuid());
    CHECK(!strcmp(buf, want));
    CHECK_ERR(CTL(DESCRIBE, KEY_SPEC_THREAD_KEYRING, buf, sizeof buf), ENOKEY);
    CHECK_ERR(CTL(DESCRIBE, KEY_SPEC_REQKEY_AUTH_KEY, buf, sizeof buf), ENOKEY);
    CHECK(CTL(GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1) > 0 && CTL(GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) > 0);
    CHECK(CTL(DESCRIBE, KEY_SPEC_THREAD_KEYRING, buf, sizeof buf) > 0 && strstr(buf, ";3f010000;_tid"));
    CHECK(CTL(DESCRIBE, KEY_SPEC_PROCESS_KEYRING, buf, sizeof buf) > 0 && strstr(buf, ";3f010000;_pid"));
    CHECK(CTL(GET_SECURITY, k, buf, sizeof buf) >= 1);
}
static void describe(void) { in_child(describe_body); }

static void links_body(void)
{
    int ids[8], s = KEY_SPEC_SESSION_KEYRING;
    int a = add("keyring", "a", NULL, 0, s), b = add("keyring", "b", NULL, 0, s), k = user("k", "1", a);
    CHECK(a > 0 && b > 0 && k > 0);
    CHECK(CTL(READ, a, ids, sizeof ids) == 4 && ids[0] == k);
    CHECK(CTL(READ, s, ids, sizeof ids) == 8);
    ids[0] = -1;
    CHECK(CTL(READ, s, ids, 4) == 8);          /* does not fit */
    CHECK(CTL(LINK, k, b) == 0 && CTL(LINK, k, b) == 0 && CTL(READ, b, ids, sizeof ids) == 4);
    CHECK_ERR(CTL(LINK, k, k), ENOTDIR);
    CHECK_ERR(CTL(LINK, a, a), EDEADLK);
    CHECK(CTL(LINK, a, b) == 0);
    CHECK_ERR(CTL(LINK, b, a), EDEADLK);
    /* One of the same type and name takes the place. */
    int k2 = user("k", "2", s);
    CHECK(k2 > 0 && k2 != k && CTL(LINK, k2, b) == 0 && CTL(READ, b, ids, sizeof ids) == 8 && (ids[0] == k2 || ids[1] == k2));
    CHECK(CTL(UNLINK, k, a) == 0);
    CHECK(CTL(UNLINK, k, a) == -1 && (errno == ENOKEY || errno == ENOENT));    /* that was the last link: it is gone, or goes soon */
    CHECK_ERR(CTL(UNLINK, b, a), ENOENT);
    CHECK_ERR(CTL(UNLINK, a, k2), ENOTDIR);
    /* Moving. */
    k = user("m", "1", a);
    CHECK(CTL(MOVE, k, a, b, 0) == 0 && CTL(READ, a, ids, sizeof ids) == 0);
    CHECK_ERR(CTL(MOVE, k, a, b, 0), ENOENT);
    int k3 = user("m", "3", a);
    CHECK_ERR(CTL(MOVE, k3, a, b, KEYCTL_MOVE_EXCL), EEXIST);
    CHECK_ERR(CTL(MOVE, k3, a, b, 2), EINVAL);
    CHECK(CTL(MOVE, k3, a, b, 0) == 0);
    CHECK(CTL(CLEAR, b) == 0 && CTL(READ, b, ids, sizeof ids) == 0);
    CHECK_ERR(CTL(CLEAR, k2), ENOTDIR);
    /* Nothing more may be linked to a restricted one. */
    CHECK_ERR(CTL(RESTRICT_KEYRING, b, "user", "x"), ENOENT);
    CHECK_ERR(CTL(RESTRICT_KEYRING, b, NULL, "x"), EINVAL);
    CHECK(CTL(RESTRICT_KEYRING, b, NULL, NULL) == 0);
    CHECK_ERR(CTL(RESTRICT_KEYRING, b, NULL, NULL), EEXIST);
    CHECK_ERR(user("z", "1", b), EPERM);
    CHECK_ERR(CTL(LINK, k2, b), EPERM);
    /* Seven levels cannot be linked into another. */
    int top = a;
    for (int i = 0; i < 7; i++) {
        char name[8];
        snprintf(name, sizeof name, "l%d", i);
        CHECK((top = add("keyring", name, NULL, 0, top)) > 0);
    }
    int other = add("keyring", "other", NULL, 0, s);
    CHECK_ERR(CTL(LINK, a, other), ELOOP);
}
static void links(void) { in_child(links_body); }

static void search_body(void)
{
    int s = KEY_SPEC_SESSION_KEYRING, a = add("keyring", "a", NULL, 0, s), b = add("keyring", "b", NULL, 0, a), k = user("deep", "1", b), ids[4];
    CHECK(k > 0 && CTL(SEARCH, s, "user", "deep", 0) == k && CTL(SEARCH, a, "user", "deep", 0) == k && CTL(SEARCH, s, "keyring", "b", 0) == b);
    CHECK_ERR(CTL(SEARCH, s, "user", "nothing", 0), ENOKEY);
    CHECK_ERR(CTL(SEARCH, s, "logon", "deep", 0), ENOKEY);
    CHECK_ERR(CTL(SEARCH, k, "user", "deep", 0), ENOTDIR);
    CHECK_ERR(CTL(SEARCH, s, "nosuchtype", "deep", 0), ENOKEY);
    CHECK(request("user", "deep", NULL, 0) == k);
    CHECK_ERR(request("user", "nothing", NULL, 0), ENOKEY);
    CHECK_ERR(request("nosuchtype", "deep", NULL, 0), ENOKEY);
    int dest = add("keyring", "dest", NULL, 0, s);
    CHECK(request("user", "deep", NULL, dest) == k && CTL(READ, dest, ids, sizeof ids) == 4 && ids[0] == k);
    CHECK(CTL(CLEAR, dest) == 0 && CTL(SEARCH, s, "user", "deep", dest) == k && CTL(READ, dest, ids, sizeof ids) == 4);
    /* The keyrings of thread and process come first. */
    int p = user("deep", "process", KEY_SPEC_PROCESS_KEYRING);
    CHECK(p > 0 && request("user", "deep", NULL, 0) == p);
    int t = user("deep", "thread", KEY_SPEC_THREAD_KEYRING);
    CHECK(t > 0 && request("user", "deep", NULL, 0) == t);
    CHECK(CTL(REVOKE, t) == 0 && request("user", "deep", NULL, 0) == p);
    /* A branch that may not be searched is not. */
    CHECK(CTL(REVOKE, p) == 0 && request("user", "deep", NULL, 0) == k && CTL(CLEAR, dest) == 0);
    CHECK(CTL(SETPERM, a, PERM(0x37, 0x37, 0, 0)) == 0);
    CHECK_ERR(CTL(SEARCH, s, "user", "deep", 0), ENOKEY);
}
static void searches(void) { in_child(search_body); }

static void states_body(void)
{
    char buf[8];
    int s = KEY_SPEC_SESSION_KEYRING, k = user("k", "1", s);
    CHECK(CTL(SET_TIMEOUT, k, 100) == 0 && CTL(SET_TIMEOUT, k, 0) == 0 && CTL(SET_TIMEOUT, k, 1) == 0);
    expect_text(k, "1");
    usleep(2100000);
    CHECK_ERR(CTL(READ, k, buf, sizeof buf), EKEYEXPIRED);
    CHECK_ERR(CTL(SET_TIMEOUT, k, 100), EKEYEXPIRED);
    CHECK_ERR(request("user", "k", NULL, 0), ENOKEY);           /* as if it were not there */
    CHECK_ERR(CTL(SEARCH, s, "user", "k", 0), EKEYEXPIRED);
    k = user("r", "1", s);
    CHECK(CTL(REVOKE, k) == 0);
    CHECK_ERR(CTL(READ, k, buf, sizeof buf), EKEYREVOKED);
    CHECK_ERR(CTL(UPDATE, k, "2", 1), EKEYREVOKED);
    CHECK_ERR(CTL(DESCRIBE, k, buf, sizeof buf), EKEYREVOKED);
    CHECK_ERR(request("user", "r", NULL, 0), EKEYREVOKED);
    int again = user("r", "2", s);
    CHECK(again > 0 && again != k);
    k = user("i", "1", s);
    CHECK(CTL(INVALIDATE, k) == 0);
    CHECK(CTL(READ, k, buf, sizeof buf) == -1 && (errno == ENOKEY || errno == EACCES));    /* while it goes, or when it is gone */
    CHECK_ERR(CTL(DESCRIBE, k, buf, sizeof buf), ENOKEY);
    int g = add("keyring", "g", NULL, 0, s);
    CHECK(CTL(REVOKE, g) == 0);
    CHECK_ERR(user("x", "1", g), EKEYREVOKED);
    CHECK_ERR(CTL(UPDATE, again, "x", 5000), EINVAL);
    CHECK_ERR(CTL(UPDATE, again, "x", 0), EINVAL);
    CHECK_ERR(CTL(UPDATE, add("keyring", "h", NULL, 0, s), NULL, 0), EOPNOTSUPP);
    CHECK_ERR(CTL(INSTANTIATE, again, "x", 1, 0), EPERM);
    CHECK_ERR(CTL(NEGATE, again, 10, 0), EPERM);
    CHECK_ERR(ctl(9999, 0, 0, 0, 0), EOPNOTSUPP);
    CHECK(CTL(SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_NO_CHANGE) == 0 && CTL(SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_USER_KEYRING) == 0);
    CHECK(CTL(SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_NO_CHANGE) == KEY_REQKEY_DEFL_USER_KEYRING);
    CHECK_ERR(CTL(SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_GROUP_KEYRING), EINVAL);
    CHECK_ERR(CTL(SET_REQKEY_KEYRING, 99), EINVAL);
    unsigned char caps[4] = { 9, 9, 9, 9 };
    CHECK(CTL(CAPABILITIES, caps, sizeof caps) == 2 && (caps[0] & 0x21) == 0x21 && !caps[2] && !caps[3]);
}
static void states(void) { in_child(states_body); }

static void perm_body(void)
{
    char buf[64];
    int s = KEY_SPEC_SESSION_KEYRING, k = user("k", "1", s);
    CHECK_ERR(CTL(SETPERM, k, 0x40000000), EINVAL);
    /* Seen by its owner only as far as it says; a possessor who may search may read. */
    CHECK(CTL(SETPERM, k, PERM(0x2b, 0, 0, 0)) == 0);          /* view, read, search, setattr */
    CHECK_ERR(CTL(UPDATE, k, "2", 1), EACCES);
    CHECK_ERR(CTL(LINK, k, KEY_SPEC_PROCESS_KEYRING), EACCES);
    expect_text(k, "1");
    CHECK(CTL(SETPERM, k, PERM(0x28, 0, 0, 0)) == 0);
    expect_text(k, "1");
    CHECK_ERR(CTL(DESCRIBE, k, buf, sizeof buf), EACCES);
    CHECK(CTL(SETPERM, k, PERM(0x20, 0, 0, 0)) == 0);          /* not found, so not possessed */
    CHECK_ERR(CTL(READ, k, buf, sizeof buf), EACCES);
    CHECK_ERR(CTL(SETPERM, k, PERM(0x3f, 0, 0, 0)), EACCES);
    CHECK_ERR(CTL(REVOKE, k), EACCES);
    if (geteuid()) {
        printf("skipped: keys of other users: not root\n");
        return;
    }
    int o = user("o", "1", s), st;
    CHECK(CTL(SETPERM, o, PERM(0x3f, 0x3f, 3, 1)) == 0);
    pid_t c = fork();
    if (!c) {
        CHECK(setresgid(TEST_UID, TEST_UID, TEST_UID) == 0 && setresuid(TEST_UID, TEST_UID, TEST_UID) == 0);
        expect_text(o, "1");                                    /* the session is inherited, and with it possession */
        CHECK_ERR(CTL(CHOWN, o, TEST_UID, -1), EACCES);
        CHECK(CTL(JOIN_SESSION_KEYRING, NULL) > 0);
        CHECK(CTL(DESCRIBE, o, buf, sizeof buf) > 0);           /* others: view */
        CHECK_ERR(CTL(READ, o, buf, sizeof buf), EACCES);
        CHECK_ERR(CTL(LINK, o, KEY_SPEC_SESSION_KEYRING), EACCES);
        CHECK_ERR(CTL(SETPERM, o, 0), EACCES);
        CHECK_ERR(CTL(GET_PERSISTENT, 0, KEY_SPEC_SESSION_KEYRING), EPERM);
        int own = user("own", "1", KEY_SPEC_SESSION_KEYRING);
        CHECK_ERR(CTL(CHOWN, own, 0, -1), EACCES);
        CHECK(CTL(CHOWN, own, TEST_UID, TEST_UID) == 0);
        _exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
    CHECK(CTL(CHOWN, o, TEST_UID, 7) == 0 && CTL(DESCRIBE, o, buf, sizeof buf) > 0);
    snprintf(buf + 40, 24, "user;%d;7;", TEST_UID);
    CHECK(!strncmp(buf, buf + 40, strlen(buf + 40)));
    long p = CTL(GET_PERSISTENT, -1, s);
    CHECK(p > 0 && CTL(GET_PERSISTENT, 0, s) == p && CTL(DESCRIBE, p, buf, sizeof buf) > 0 && strstr(buf, ";1f030000;_persistent.0"));
}
static void permissions(void) { in_child(perm_body); }

static int thread_saw[4];
static void *other_thread(void *arg)
{
    thread_saw[0] = (int)CTL(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    thread_saw[1] = (int)CTL(GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0);
    thread_saw[2] = (int)CTL(GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0);
    thread_saw[3] = (int)CTL(JOIN_SESSION_KEYRING, NULL);
    return arg;
}

static void session_body(void)
{
    int st, s = (int)CTL(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), k = user("k", "1", KEY_SPEC_SESSION_KEYRING);
    int t = (int)CTL(GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1), p = (int)CTL(GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1);
    pthread_t th;
    CHECK(s > 0 && t > 0 && p > 0);
    pid_t c = fork();
    if (!c) {
        CHECK(CTL(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) == s && request("user", "k", NULL, 0) == k);
        CHECK_ERR(CTL(GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0), ENOKEY);
        CHECK_ERR(CTL(GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0), ENOKEY);
        int n = (int)CTL(JOIN_SESSION_KEYRING, NULL);
        CHECK(n > 0 && n != s);
        CHECK_ERR(request("user", "k", NULL, 0), ENOKEY);
        _exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0 && CTL(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) == s);
    CHECK(pthread_create(&th, NULL, other_thread, NULL) == 0 && pthread_join(th, NULL) == 0);
    CHECK(thread_saw[0] == s && thread_saw[1] > 0 && thread_saw[1] != t && thread_saw[3] > 0 && thread_saw[3] != s && thread_saw[2] == p);
    CHECK(CTL(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) == s);       /* a thread joins for itself */
    /* By name: the first makes it, the next needs the right to search it. */
    char name[40];
    snprintf(name, sizeof name, "test-session-%d", getpid());
    int n = (int)CTL(JOIN_SESSION_KEYRING, name);
    CHECK(n > 0 && n != s && CTL(SETPERM, n, PERM(0x3f, 0x1b, 0, 0)) == 0);
    CHECK(CTL(JOIN_SESSION_KEYRING, name) == 0);                        /* there already */
    c = fork();
    if (!c) {
        CHECK(CTL(JOIN_SESSION_KEYRING, NULL) > 0 && CTL(JOIN_SESSION_KEYRING, name) == n);
        _exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
    CHECK_ERR(CTL(JOIN_SESSION_KEYRING, ".x"), EPERM);
    /* A child may hand its session to its parent, if that has one thread. */
    c = fork();
    if (!c) {
        int fresh = (int)CTL(JOIN_SESSION_KEYRING, NULL);
        CHECK(fresh > 0 && CTL(SESSION_TO_PARENT, 0) == 0);
        _exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
    int now = (int)CTL(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    CHECK(now > 0 && now != n && now != s);
}
static void sessions(void) { in_child(session_body); }

static unsigned long long number(const char *file)
{
    FILE *f = fopen(file, "r");
    unsigned long long v;
    CHECK(f && fscanf(f, "%llu", &v) == 1);
    fclose(f);
    return v;
}

static void quota_body(void)
{
    if (geteuid()) {
        printf("skipped: quota: not root, whose limits are too wide to try\n");
        return;
    }
    unsigned long long max = number("/proc/sys/kernel/keys/maxkeys"), bytes = number("/proc/sys/kernel/keys/maxbytes");
    CHECK(setresgid(TEST_UID, TEST_UID, TEST_UID) == 0 && setresuid(TEST_UID, TEST_UID, TEST_UID) == 0);
    CHECK(CTL(JOIN_SESSION_KEYRING, NULL) > 0);
    int s = KEY_SPEC_SESSION_KEYRING;
    char text[32000], name[32];
    memset(text, 'x', sizeof text);
    if (bytes < 32000) CHECK_ERR(add("user", "big", text, bytes, s), EDQUOT);
    int k = add("user", "half", text, bytes / 2, s);
    CHECK(k > 0);
    CHECK_ERR(add("user", "half2", text, bytes / 2, s), EDQUOT);
    CHECK(CTL(REVOKE, k) == 0 && (k = add("user", "half2", text, bytes / 2, s)) > 0);
    CHECK(CTL(CLEAR, s) == 0);
    usleep(100000);                    /* Linux counts it off when it gets round to it */
    unsigned long long n = 0;
    for (; n <= max; n++) {
        snprintf(name, sizeof name, "%llu", n);
        if (add("user", name, "x", 1, s) < 0) break;
    }
    CHECK(errno == EDQUOT && n < max && n > max / 2);
}
static void quota(void) { in_child(quota_body); }

static void big_body(void)
{
    static char buf[600000], back[600000];
    for (size_t i = 0; i < sizeof buf; i++) buf[i] = (char)(i * 7);
    int k = add("big_key", "b", buf, sizeof buf, KEY_SPEC_SESSION_KEYRING);
    if (k < 0 && errno == ENODEV) {
        printf("skipped: no big_key\n");
        return;
    }
    CHECK(k > 0 && CTL(READ, k, back, sizeof back) == (long)sizeof buf && !memcmp(buf, back, sizeof buf));
    CHECK_ERR(add("big_key", "c", buf, 1 << 20, KEY_SPEC_SESSION_KEYRING), EINVAL);
}
static void big(void) { in_child(big_body); }

static void proc_body(void)
{
    char line[512], want[64];
    int k = user("shown in proc", "12345", KEY_SPEC_SESSION_KEYRING), h = user("hidden", "1", KEY_SPEC_SESSION_KEYRING), seen = 0, users = 0;
    CHECK(CTL(SETPERM, h, PERM(0x3e, 0, 0, 0)) == 0);
    FILE *f = fopen("/proc/keys", "r");
    CHECK(f);
    snprintf(want, sizeof want, "%08x I--Q---", k);
    while (fgets(line, sizeof line, f)) {
        CHECK(!strstr(line, "hidden"));
        if (strncmp(line, want, strlen(want))) continue;
        CHECK(strstr(line, " perm 3f010000 ") && strstr(line, " user      shown in proc: 5\n"));
        seen++;
    }
    fclose(f);
    CHECK(seen == 1 && (f = fopen("/proc/key-users", "r")));
    unsigned uid;
    unsigned long long nkeys, ninst, qk, maxk, qb, maxb;
    unsigned usage;
    while (fgets(line, sizeof line, f)) {
        CHECK(sscanf(line, "%u: %u %llu/%llu %llu/%llu %llu/%llu", &uid, &usage, &nkeys, &ninst, &qk, &maxk, &qb, &maxb) == 8);
        users += uid == getuid() && qk >= 2 && qk <= maxk && qb > 20 && qb <= maxb && nkeys >= qk && ninst <= nkeys;
    }
    fclose(f);
    CHECK(users == 1);
}
static void proc_files(void) { in_child(proc_body); }

/* A user namespace has names and user keyrings of its own. */
static void ns_body(void)
{
    char name[40], buf[64];
    snprintf(name, sizeof name, "ns-session-%d", getpid());
    int n = (int)CTL(JOIN_SESSION_KEYRING, name), u = (int)CTL(GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0), st;
    CHECK(n > 0 && u > 0 && CTL(SETPERM, n, PERM(0x3f, 0x1b, 0, 0)) == 0);
    pid_t c = fork();
    if (!c) {
        if (unshare(CLONE_NEWUSER)) {
            printf("skipped: no user namespace\n");
            fflush(stdout);
            _exit(0);
        }
        CHECK(CTL(GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0) != u);
        CHECK(CTL(JOIN_SESSION_KEYRING, NULL) > 0);
        int m = (int)CTL(JOIN_SESSION_KEYRING, name);
        CHECK(m > 0 && m != n);
        CHECK(CTL(DESCRIBE, KEY_SPEC_SESSION_KEYRING, buf, sizeof buf) > 0 && !strncmp(buf, "keyring;65534;65534;", 20));
        _exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}
static void user_namespace(void) { in_child(ns_body); }

TEST_MAIN(CASE(add_key_), CASE(describe), CASE(links), CASE(searches), CASE(states), CASE(permissions), CASE(sessions), CASE(quota), CASE(big),
          CASE(proc_files), CASE(user_namespace))
