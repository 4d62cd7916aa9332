/* /dev/poll. Source: poll(4D): a write adds, POLLREMOVE takes away, DP_POLL waits, DP_ISPOLLED asks; a child may not use the set. */
#include "sys.h"

struct pfd { s32 fd; s16 events, revents; };
struct dvpoll { struct pfd *fds; u64 n; s32 timeout; };
enum { DP_POLL = 0xd001, DP_ISPOLLED = 0xd002, REMOVE = 0x800 };

static void run(void)
{
    s32 d = (s32)sys(5, "/dev/poll", 2, 0).r1, a[2], b[2], file, old;
    struct pfd in[3], out[8];
    struct dvpoll now = { out, 8, 0 }, soon = { out, 8, 20 }, forever = { out, 8, -1 }, one = { out, 1, 0 };
    struct siginfo si;
    struct res r;
    char c;

    EXPECT(0, 42, a, 0);
    EXPECT(0, 42, b, 0);
    EXPECT(0, 54, d, DP_POLL, &now);
    EXPECT(0, 54, d, DP_POLL, &soon);
    in[0] = (struct pfd){ a[0], 1, 0 };
    in[1] = (struct pfd){ b[0], 1, 0 };
    EXPECT(16, 4, d, in, 16);
    EXPECT(0, 54, d, DP_POLL, &now);
    EXPECT(1, 4, a[1], "x", 1);
    EXPECT(1, 54, d, DP_POLL, &forever);
    CHECK(out[0].fd == a[0] && out[0].revents == 1);
    EXPECT(1, 54, d, DP_POLL, &now);                         /* a level, not an edge */
    EXPECT(1, 4, b[1], "y", 1);
    EXPECT(2, 54, d, DP_POLL, &now);
    EXPECT(1, 54, d, DP_POLL, &one);                         /* no more than there is room for */
    /* what is in the set, and with which events */
    in[2] = (struct pfd){ a[0], 0, 0 };
    EXPECT(1, 54, d, DP_ISPOLLED, in + 2);
    CHECK_EQ(in[2].revents, 1);
    in[2] = (struct pfd){ a[1], 0, 0 };
    EXPECT(0, 54, d, DP_ISPOLLED, in + 2);
    /* events are added to those that are there */
    in[2] = (struct pfd){ a[0], 2, 0 };
    EXPECT(8, 4, d, in + 2, 8);
    EXPECT(1, 54, d, DP_ISPOLLED, in + 2);
    CHECK_EQ(in[2].revents, 3);
    /* away */
    in[0] = (struct pfd){ a[0], REMOVE, 0 };
    EXPECT(8, 4, d, in, 8);
    EXPECT(1, 54, d, DP_POLL, &now);
    CHECK_EQ(out[0].fd, b[0]);
    EXPECT(0, 54, d, DP_ISPOLLED, in);
    /* the end of a pipe; and a descriptor that was closed leaves by itself */
    EXPECT(1, 3, b[0], &c, 1);
    EXPECT(0, 6, b[1]);
    EXPECT(1, 54, d, DP_POLL, &now);
    CHECK_EQ(out[0].revents & 0x10, 0x10);
    EXPECT(0, 6, b[0]);
    EXPECT(0, 54, d, DP_POLL, &now);
    /* an old number with a new file is not polled */
    old = b[0];
    EXPECT(old, 62, a[0], 9, old);
    EXPECT(0, 54, d, DP_POLL, &now);
    /* files are always ready; a number that was never open is invalid */
    file = (s32)sys(5, "f", 0x102, 0600).r1;
    in[0] = (struct pfd){ file, 5, 0 };
    in[1] = (struct pfd){ 200, 1, 0 };
    EXPECT(16, 4, d, in, 16);
    EXPECT(2, 54, d, DP_POLL, &forever);
    for (int i = 0; i < 2; i++) CHECK_EQ(out[i].revents, out[i].fd == file ? 5 : out[i].fd == 200 ? 0x20 : -1);
    /* a fork's child has descriptors of its own */
    r = sys(142, 0, 1);
    if (!r.cf && r.r2 == 1) {
        struct res w = sys(54, d, DP_POLL, &now), v = sys(4, d, in, 8);
        sys(1, w.cf && w.r1 == 13 && v.cf && v.r1 == 13 ? 0 : 1);
    }
    memset(&si, 0, sizeof(si));
    EXPECT_OK(107, 0, r.r1, &si, 1);
    CHECK_EQ(si.code, 1);
    CHECK_EQ((s32)(si.body[1] >> 32) | (s32)si.body[2], 0);   /* ended with 0 */
    /* without room it only waits */
    now.n = 0;
    EXPECT(0, 54, d, DP_POLL, &now);
}
