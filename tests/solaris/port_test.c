/* Event ports. Source: port_create(3C), port_associate(3C), port_get(3C), port_send(3C), port_alert(3C). */
#include "sys.h"

struct ev { s32 events; u16 source, pad; u64 object, user; };

static void run(void)
{
    struct ts ts = { 0, 0 }, ms = { 0, 10000000 };
    s32 p, fds[2], err[2], list[2];
    struct ev ev[8];
    struct res r;
    char c;

    r = sys(182, 0x100);
    CHECK(!r.cf);
    p = (s32)r.r1;
    EXPECT_ERR(81, 182, 6, 0, ev, 1, 0, 0);                  /* EBADFD: no port */
    EXPECT_ERR(9, 182, 6, 99, ev, 1, 0, 0);
    EXPECT(0, 42, fds, 0);
    /* a descriptor: one-shot */
    EXPECT(0, 182, 1, p, 4, fds[0], 1, 0xabc);
    EXPECT(0, 182, 6, p, ev, 8, 1, &ts);                /* nothing, and not asked to wait */
    EXPECT(1, 4, fds[1], "x", 1);
    EXPECT(1, 182, 6, p, ev, 8, 1, &ms);
    CHECK_EQ(ev[0].source, 4);
    CHECK_EQ(ev[0].events, 1);
    CHECK_EQ(ev[0].object, fds[0]);
    CHECK_EQ(ev[0].user, 0xabc);
    EXPECT(0, 182, 6, p, ev, 8, 1, &ts);
    EXPECT_ERR(2, 182, 2, p, 4, fds[0]);                     /* the association went with its event */
    EXPECT(0, 182, 1, p, 4, fds[0], 1, 1);                   /* still readable: an event at once */
    EXPECT(0, 182, 5, p, ev, 0, 0, 0);
    CHECK_EQ(ev[0].user, 1);
    EXPECT(1, 3, fds[0], &c, 1);
    EXPECT(0, 182, 1, p, 4, fds[0], 1, 2);
    EXPECT(0, 182, 2, p, 4, fds[0]);
    EXPECT_ERR(81, 182, 1, p, 4, 99, 1, 0);
    EXPECT_ERR(22, 182, 1, p, 9, fds[0], 1, 0);
    /* user events come in order */
    EXPECT(0, 182, 3, p, 11, 0x11);
    EXPECT(0, 182, 3, p, 12, 0x12);
    EXPECT(2, 182, 6, p, 0, 0, 0, 0);                        /* how many there are */
    EXPECT(2, 182, 6, p, ev, 8, 1, 0);
    CHECK(ev[0].source == 3 && ev[0].events == 11 && ev[1].events == 12 && ev[1].user == 0x12);
    list[0] = p, list[1] = 99;
    EXPECT(1UL << 32 | 1, 182, 4 | 0x100, list, err, 2, 5, 0x55);
    CHECK(err[0] == 0 && err[1] == 9);
    EXPECT(1, 182, 6, p, ev, 8, 1, 0);
    /* alert mode: only the alert, until it is ended */
    EXPECT(0, 182, 7, p, 1, 77, 0x99);
    EXPECT_ERR(16, 182, 7, p, 1, 78, 0);
    EXPECT(0, 182, 7, p, 2, 79, 0x9a);
    EXPECT(0, 182, 3, p, 13, 0);
    for (int i = 0; i < 2; i++) {
        EXPECT(1, 182, 6, p, ev, 8, 1, 0);
        CHECK(ev[0].source == 5 && ev[0].events == 79 && ev[0].user == 0x9a);
    }
    EXPECT(0, 182, 7, p, 0, 0, 0);
    EXPECT(1, 182, 6, p, ev, 8, 1, 0);
    CHECK_EQ(ev[0].events, 13);
    /* closing the descriptor ends the association */
    EXPECT(0, 182, 1, p, 4, fds[0], 1, 3);
    EXPECT(1, 4, fds[1], "y", 1);
    EXPECT(0, 6, fds[0]);
    EXPECT(0, 182, 6, p, ev, 8, 1, &ts);
    EXPECT_ERR(62, 182, 5, p, ev, 0, 1000, &ts);
}
