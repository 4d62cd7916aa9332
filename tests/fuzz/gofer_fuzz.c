/*
 * libFuzzer target: packets of a hostile sentry against the gofer's decoders, on a scratch directory with a read-only
 * twin. Input: packets of { u16 op; u16 len; u8 payload[len] }. The table starts anew with each input, so handles are
 * the same small numbers every time and the fuzzer learns live ones.
 */
#include "gofer/gofer.h"
#include "sentry/base/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/gofer-fuzz-XXXXXX";
static struct gofer_root roots[2];
static int proc_fd;

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
    char p[64];
    log_init("gofer-fuzz", 2, LOG_ERROR);
    if (!mkdtemp(top)) abort();
    roots[0].fd = open(top, O_PATH);
    roots[1] = (struct gofer_root){ open(top, O_PATH), PLAN_ROOT_RO, 0 };
    snprintf(p, sizeof p, "%s/dir", top);
    mkdir(p, 0700);
    snprintf(p, sizeof p, "%s/link", top);
    if (symlink("/etc", p)) abort();
    proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY);
    return watch_init();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static u8 out[GOFER_PAYLOAD_MAX] __attribute__((aligned(8)));
    if (gofer_init(roots, 2, proc_fd, 64)) abort();
    for (u32 i = 0; i < 2; i++) { /* handles 1<<32|1 and 1<<32|2 are the roots */
        struct gofer_attach_req q = { i, 0 };
        struct gofer_req r = { .in = (const u8 *)&q, .len = sizeof q, .out = out, .fd = -1 };
        if (op_attach(&r)) abort();
    }
    while (size >= 4) {
        u16 op, len;
        memcpy(&op, data, 2);
        memcpy(&len, data + 2, 2);
        data += 4;
        size -= 4;
        size_t n = len < size ? len : size;
        u8 *payload = malloc(n ? n : 1); /* of its exact size, for the sanitizer */
        if (n) memcpy(payload, data, n);
        struct rpc_hdr h = { GOFER_MAGIC | op % (GOFER_OP_END + 1), 1, (u32)n, 0 }, rep;
        int fd;
        bool reply;
        if (!gofer_handle_packet(&h, payload, n, &rep, out, &fd, &reply) || rep.len > GOFER_PAYLOAD_MAX) abort();
        if (fd >= 0) close(fd);
        free(payload);
        data += n;
        size -= n;
    }
    gofer_fini();
    return 0;
}
