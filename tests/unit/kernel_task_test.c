/* Life of tasks with real host threads over a fake platform: fork, wait, signals, stops, threads, the end of init. */
#include "tests/unit/kernel_fakes.h"
#include <linux/sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

static int failures;
#define CHECK(c) do { if (!(c)) { fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #c); atomic_add(&failures, 1); } } while (0)

static s32 spawn_flags(guest_fn fn, u64 flags, int exit_signal)
{
    struct clone_args_k a = { .flags = flags, .exit_signal = exit_signal };
    current->regs.rsi = (u64)(uintptr_t)fn;
    return (s32)task_clone(&a);
}
static s32 spawn(guest_fn fn) { return spawn_flags(fn, 0, SIGCHLD); }
static sysret_t wait_for(s32 pid, u32 options, struct wait_result *out)
{
    struct wait_req r = { .which = pid > 0 ? P_PID : P_ALL, .id = pid, .options = options };
    sysret_t ret;
    while ((ret = task_wait(&r, out)) == -ERESTARTSYS) fake_deliver(current);
    return ret;
}
static int send_to(s32 pid, int signo)
{
    struct tgroup *tg = tgroup_lookup_get(pid);
    struct ksiginfo i;
    if (!tg) return -ESRCH;
    ksiginfo_user(&i, signo, SI_USER);
    int r = signal_send_group(tg, &i);
    tgroup_put(tg);
    return r;
}
static void set_handler(int signo, gaddr_t h, u64 flags)
{
    struct ksigaction a = { .handler = h, .flags = flags };
    CHECK(signal_action(signo, &a, NULL) == 0);
}

static void g_exit7(void) { task_group_exit(7 << 8); }
static void g_pause(void) { while (task_sleep(KTIME_NEVER) == 0) ; }
static void g_spin(void) { current->regs.rax = 1; }

static void test_many_forks(void)
{
    struct wait_result w;
    int before = live_mm;
    for (int i = 0; i < 10000; i++) {
        s32 pid = spawn(g_exit7);
        CHECK(pid > 1);
        CHECK(wait_for(pid, WEXITED, &w) == pid);
        CHECK(w.code == CLD_EXITED && w.status == 7 && w.wstatus == 7 << 8);
    }
    CHECK(wait_for(-1, WEXITED, &w) == -ECHILD);
    CHECK(live_mm == before && live_files == 1 && live_fs == 1);
}

static void test_kill_sleeping_and_running(void)
{
    struct wait_result w;
    for (int i = 0; i < 200; i++) {
        s32 a = spawn(g_pause), b = spawn(g_spin);
        CHECK(send_to(a, SIGTERM) == 0);
        CHECK(send_to(b, SIGKILL) == 0);
        CHECK(wait_for(a, WEXITED, &w) == a && w.code == CLD_KILLED && w.status == SIGTERM);
        CHECK(wait_for(b, WEXITED, &w) == b && w.wstatus == SIGKILL);
    }
    s32 c = spawn(g_pause);
    CHECK(send_to(c, SIGSEGV) == 0);
    CHECK(wait_for(c, WEXITED, &w) == c && w.wstatus == SIGSEGV);   /* no core was written: no 0x80 */
}

static void test_stop_and_continue(void)
{
    struct wait_result w;
    s32 pid = spawn(g_spin);
    CHECK(wait_for(pid, WEXITED | WSTOPPED | WNOHANG, &w) == 0);
    CHECK(send_to(pid, SIGSTOP) == 0);
    CHECK(wait_for(pid, WSTOPPED | WNOWAIT, &w) == pid);
    CHECK(wait_for(pid, WSTOPPED, &w) == pid && w.code == CLD_STOPPED && w.wstatus == (SIGSTOP << 8 | 0x7f));
    CHECK(wait_for(pid, WSTOPPED | WNOHANG, &w) == 0);
    CHECK(send_to(pid, SIGUSR1) == 0);      /* does not end a stop */
    CHECK(wait_for(pid, WEXITED | WNOHANG, &w) == 0 || w.wstatus == SIGUSR1);
    (void)send_to(pid, SIGCONT);
    (void)send_to(pid, SIGKILL);
    CHECK(wait_for(pid, WEXITED, &w) == pid);

    pid = spawn(g_spin);
    CHECK(send_to(pid, SIGSTOP) == 0);
    CHECK(wait_for(pid, WSTOPPED, &w) == pid);
    CHECK(send_to(pid, SIGCONT) == 0);
    CHECK(wait_for(pid, WCONTINUED, &w) == pid && w.code == CLD_CONTINUED && w.wstatus == 0xffff);
    CHECK(send_to(pid, SIGKILL) == 0);
    CHECK(wait_for(pid, WEXITED, &w) == pid && w.wstatus == SIGKILL);
}

static void test_sigchld_and_autoreap(void)
{
    struct wait_result w;
    handled[SIGCHLD] = 0;
    set_handler(SIGCHLD, 0x1000, 0);
    s32 pid = spawn(g_exit7);
    CHECK(wait_for(pid, WEXITED, &w) == pid);
    fake_deliver(current);
    CHECK(handled[SIGCHLD] == 1);
    set_handler(SIGCHLD, 1, 0);
    pid = spawn(g_exit7);
    CHECK(wait_for(pid, WEXITED, &w) == -ECHILD);
    set_handler(SIGCHLD, 0, SA_NOCLDWAIT);
    pid = spawn(g_exit7);
    CHECK(wait_for(-1, WEXITED, &w) == -ECHILD);
    set_handler(SIGCHLD, 0, 0);
    /* A child without an exit signal is a "clone child". */
    pid = spawn_flags(g_exit7, 0, 0);
    CHECK(wait_for(pid, WEXITED, &w) == -ECHILD);
    CHECK(wait_for(pid, WEXITED | __WCLONE, &w) == pid);
}

static u32 thread_count;
static void g_thread(void)
{
    atomic_add(&thread_count, 1);
    task_exit(0);
}
static void g_many_threads(void)
{
    u64 f = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    for (int i = 0; i < 50; i++) CHECK(spawn_flags(g_thread, f, 0) > 0);
    for (int i = 0; i < 4; i++) CHECK(spawn_flags(i & 1 ? g_pause : g_spin, f, 0) > 0);
    task_group_exit(3 << 8);
}
static void g_leader_leaves(void)
{
    u64 f = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    s32 r = spawn_flags(g_spin, f, 0);
    CHECK(r > 0 || r == -EINTR || r == -ERESTARTNOINTR);   /* the test's SIGTERM may be first */
    task_exit(5 << 8);
}
static void g_dethread(void)
{
    struct task *t = current;
    if (t->tid == t->tg->tgid) {
        u64 f = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
        for (int i = 0; i < 3; i++) CHECK(spawn_flags(g_spin, f, 0) > 0);
        CHECK(spawn_flags(g_dethread, f, 0) > 0);
        t->regs.rax = 1;
        return;
    }
    CHECK(exec_dethread() == 0);
    CHECK(t->tid == t->tg->tgid && t->tg->leader == t && t->tg->nr_tasks == 1);
    task_group_exit(9 << 8);
}

static void test_threads(void)
{
    struct wait_result w;
    for (int i = 0; i < 20; i++) {
        s32 pid = spawn(g_many_threads);
        CHECK(wait_for(pid, WEXITED, &w) == pid && w.status == 3);
        pid = spawn(g_leader_leaves);
        CHECK(pid > 0);
        CHECK(send_to(pid, SIGTERM) == 0 || true);
        CHECK(wait_for(pid, WEXITED, &w) == pid);
        pid = spawn(g_dethread);
        CHECK(wait_for(pid, WEXITED, &w) == pid && w.status == 9);
    }
    CHECK(spawn_flags(g_exit7, CLONE_THREAD, 0) == -EINVAL);
    CHECK(spawn_flags(g_exit7, CLONE_SIGHAND, 0) == -EINVAL);
    CHECK(spawn_flags(g_exit7, CLONE_NEWNS | CLONE_FS, 0) == -EINVAL);
}

static s32 orphan;
static u32 orphan_seen;
static void g_grandchild(void)
{
    if (tgroup_ppid(current->tg) != 1) {
        task_sleep(clock_mono() + NSEC_PER_MSEC);
        return;
    }
    atomic_store(&orphan_seen, 1u);
    task_group_exit(0);
}
static void g_parent_leaves(void)
{
    orphan = spawn(g_grandchild);
    task_group_exit(0);
}
static void test_reparent(void)
{
    struct wait_result w;
    s32 pid = spawn(g_parent_leaves);
    CHECK(wait_for(pid, WEXITED, &w) == pid);
    CHECK(wait_for(orphan, WEXITED, &w) == orphan && orphan_seen == 1);
}

static void g_vfork_child(void)
{
    task_sleep(clock_mono() + 2 * NSEC_PER_MSEC);
    atomic_add(&thread_count, 1);
    task_group_exit(0);
}
static void test_vfork(void)
{
    struct wait_result w;
    thread_count = 0;
    s32 pid = spawn_flags(g_vfork_child, CLONE_VM | CLONE_VFORK, SIGCHLD);
    CHECK(atomic_load(&thread_count) == 1);
    CHECK(wait_for(pid, WEXITED, &w) == pid);
}

static void g_session(void)
{
    CHECK(task_setsid() == current->tid);
    CHECK(task_setsid() == -EPERM);
    CHECK(task_setpgid(0, 0) == -EPERM);
    CHECK(task_getsid(0) == current->tid && task_getpgid(0) == current->tid);
    s32 c = spawn(g_pause);
    CHECK(task_setpgid(c, c) == 0 && task_getpgid(c) == c);
    CHECK(task_setpgid(c, 1) == -EPERM);
    CHECK(task_setpgid(1, 0) == -ESRCH);
    CHECK(task_setpgid(c, -1) == -EINVAL);
    send_to(c, SIGKILL);
    task_group_exit(0);
}
static void test_sessions(void)
{
    struct wait_result w;
    s32 pid = spawn(g_session);
    CHECK(wait_for(pid, WEXITED, &w) == pid);
    while (wait_for(-1, WEXITED, &w) > 0) ;
}

static void test_masks_and_queues(void)
{
    struct ksiginfo i = { .signo = SIGUSR1, .code = SI_QUEUE };
    ksigset_t mask = { { 0, 0 } }, old = current->blocked, set = { { 0, 0 } };
    ksigset_add(&mask, SIGUSR1);
    ksigset_add(&mask, 40);
    ksigset_add(&mask, 41);
    ksigset_add(&mask, SIGKILL);
    signal_set_mask(&mask);
    CHECK(!ksigset_has(&current->blocked, SIGKILL));
    for (int n = 0; n < 3; n++) {
        i.signo = SIGUSR1;
        i.value = (u64)n;
        CHECK(signal_send_task(current, &i) == 0);
        i.signo = 41;
        CHECK(signal_send_task(current, &i) == 0);
        i.signo = 40;
        CHECK(signal_send_group(current->tg, &i) == 0);
    }
    CHECK(!signal_pending(current));
    CHECK(user_nsigpending(0) == 7);
    set = mask;
    CHECK(signal_take(&set, &i) == SIGUSR1 && i.value == 0);
    for (u64 n = 0; n < 3; n++) CHECK(signal_take(&set, &i) == 41 && i.value == n);   /* own before the group's */
    for (u64 n = 0; n < 3; n++) CHECK(signal_take(&set, &i) == 40 && i.value == n);
    CHECK(signal_take(&set, &i) == 0);
    CHECK(user_nsigpending(0) == 0);

    struct rlimit rl = { 2, 31000 }, saved;
    CHECK(task_prlimit(current, RLIMIT_SIGPENDING, &rl, &saved) == 0);
    i.signo = 40;
    i.code = SI_QUEUE;
    CHECK(signal_send_task(current, &i) == 0 && signal_send_task(current, &i) == 0);
    CHECK(signal_send_task(current, &i) == -EAGAIN);
    CHECK(task_prlimit(current, RLIMIT_SIGPENDING, &saved, NULL) == 0);
    set_handler(40, 1, 0);   /* ignoring discards what is pending */
    CHECK(signal_take(&set, &i) == 0 && user_nsigpending(0) == 0);
    signal_set_mask(&old);
    CHECK(signal_action(SIGKILL, &(struct ksigaction){ .handler = 1 }, NULL) == -EINVAL);
    CHECK(signal_action(0, NULL, NULL) == -EINVAL && signal_action(KSIG_MAX + 1, NULL, NULL) == -EINVAL);
    /* init is protected from itself */
    CHECK(send_to(1, SIGTERM) == 0 && send_to(1, SIGKILL) == 0 && !signal_pending(current));
    handled[SIGUSR2] = 0;
    set_handler(SIGUSR2, 0x1000, 0);
    CHECK(send_to(1, SIGUSR2) == 0 && signal_pending(current));
    CHECK(task_sleep(KTIME_NEVER) == -ERESTARTSYS);
    fake_deliver(current);
    CHECK(handled[SIGUSR2] == 1 && !signal_pending(current));
    CHECK(task_sleep(clock_mono() + NSEC_PER_MSEC) == -ETIMEDOUT);
}

static void test_limits(void)
{
    CHECK(user_nproc(0) == 1);
    struct rlimit bad = { 5, 4 };
    CHECK(task_prlimit(current, RLIMIT_NOFILE, &bad, NULL) == -EINVAL);
    CHECK(task_prlimit(current, 16, NULL, NULL) == -EINVAL);
    struct cred *c = cred_copy(current_cred());
    c->cap_effective = 0;
    c->uid = c->euid = c->suid = 1000;
    task_set_cred(c);
    CHECK(user_nproc(0) == 0 && user_nproc(1000) == 1);
    struct rlimit one = { 1, 1 };
    CHECK(task_prlimit(current, RLIMIT_NPROC, &one, NULL) == 0);
    CHECK(spawn(g_exit7) == -EAGAIN);
    one.rlim_max = 10;
    CHECK(task_prlimit(current, RLIMIT_NPROC, &one, NULL) == -EPERM);
    CHECK(spawn_flags(g_exit7, CLONE_NEWUTS, SIGCHLD) == -EPERM);
    CHECK(live_mm == 1);
}

static void g_init(void)
{
    test_masks_and_queues();
    test_many_forks();
    test_kill_sleeping_and_running();
    test_stop_and_continue();
    test_sigchld_and_autoreap();
    test_threads();
    test_reparent();
    test_vfork();
    test_sessions();
    for (int i = 0; i < 3; i++) {   /* must not outlive init */
        (void)spawn(g_pause);
        (void)spawn(g_spin);
    }
    s32 z = spawn(g_exit7);
    CHECK(z > 0);
    task_group_exit(42 << 8);
}

static void life(void **state UNUSED)
{
    u32 status = 0;
    kernel_init(&fake_pops, NULL, 2);
    struct task *t = task_new_process(NULL, fs_context_copy(NULL), fdtable_new(), cred_new(0, 0, ~0ULL));
    assert_non_null(t);
    assert_int_equal(t->tid, 1);
    t->abi = &fake_abi;
    t->mm = mm_new();
    t->regs.rdi = (u64)(uintptr_t)g_init;
    assert_int_equal(task_start(t), 0);
    kernel_wait_exit(&status);
    assert_int_equal(status, 42 << 8);
    assert_int_equal(failures, 0);
    assert_int_equal(live_mm, 0);
    assert_int_equal(live_files, 0);
    assert_int_equal(live_fs, 0);
    assert_int_equal(live_ctx, 0);
    assert_int_equal(kernel.nr_tasks, 0);
    assert_null(kernel.tasks_by_tid);
    assert_null(kernel.pgrps);
    assert_null(kernel.sessions);
}

static void limits_guest(void)
{
    test_limits();
    task_group_exit(0);
}
static void limits(void **state UNUSED)
{
    struct tgroup *tg;
    tgroup_put(kernel.init);
    kernel.init = NULL;
    kernel.next_tid = 1;
    struct task *t = task_new_process(NULL, fs_context_copy(NULL), fdtable_new(), cred_new(0, 0, ~0ULL));
    assert_non_null(t);
    tg = t->tg;
    tgroup_get(tg);
    t->abi = &fake_abi;
    t->mm = mm_new();
    t->regs.rdi = (u64)(uintptr_t)limits_guest;
    assert_int_equal(task_start(t), 0);
    u32 word = 0;
    while (!atomic_load(&tg->zombie)) host_futex_wait(&word, 0, clock_mono() + NSEC_PER_MSEC);
    assert_int_equal(failures, 0);
    tgroup_put(tg);
}

static void pids(void **state UNUSED)
{
    kernel.pid_max = 310;
    kernel.next_tid = 308;
    lock(&kernel.tasklist);
    assert_int_equal(pid_alloc_locked(), 308);
    assert_int_equal(pid_alloc_locked(), 309);
    assert_int_equal(pid_alloc_locked(), 300);   /* after the wrap the reserved ones are skipped */
    struct task a = { .tid = 301 };
    HASH_ADD(hh, kernel.tasks_by_tid, tid, sizeof a.tid, &a);
    assert_int_equal(pid_alloc_locked(), 302);
    HASH_DEL(kernel.tasks_by_tid, &a);
    unlock(&kernel.tasklist);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(life), cmocka_unit_test(limits), cmocka_unit_test(pids) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
