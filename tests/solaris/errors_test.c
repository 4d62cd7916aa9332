/*
 * Every call with bad pointers, bad sub-codes and bad lengths: none may succeed wrongly with a wild result, none may end the
 * sandbox. The errnos that the manual pages name are in the other tests; here only that an answer comes and is an errno.
 */
#include "sys.h"

static int skip(u32 nr)
{
    switch (nr) {
    case 1: case 29: case 59: case 77: case 96: case 100: case 107: case 119: case 142: case 144: case 159: case 160: case 161: case 167:
    case 183: case 199: case 206: case 98: case 97: case 95: case 165: case 166: case 17: case 117: case 116: case 131: case 115: case 60: case 6: return 1;
    default: return 0;
    }
}

static void run(void)
{
    static const u64 bad[] = { 0, 1, 8, ~0UL, 0x7fffffff, 0x80000000, 0x7fffffffe000, 0xfffffd7fffe00000, 4096 };
    u64 seed = 88172645463325252UL;

    set_handler(12, (void *)1, 0);
    set_handler(13, (void *)1, 0);
    set_handler(14, (void *)1, 0);
    set_handler(31, (void *)1, 0);
    for (u32 nr = 0; nr < 260; nr++) {
        if (skip(nr)) continue;
        if (nr == 37 || nr == 163 || nr == 190 || nr == 108 || nr == 111) continue;   /* could signal itself to death */
        if (nr == 6 || nr == 62 || nr == 157 || nr == 158 || nr == 27 || nr == 128 || nr == 170 || nr == 210 || nr == 211 || nr == 212) continue;
        if (nr == 3 || nr == 237 || nr == 238 || nr == 121 || nr == 173 || nr == 61 || nr == 182) continue;
        for (int k = 0; k < 40; k++) {
            u64 a[6];
            for (int i = 0; i < 6; i++) {
                seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
                a[i] = seed & 3 ? bad[(seed >> 8) % 9] : (seed >> 8) % 16;
            }
            if ((nr == 4 || nr == 122 || nr == 174) && (u32)a[0] < 3) a[0] = 99;
            struct res r = sys6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
            if (r.cf && (r.r1 == 0 || r.r1 > 151)) fail_at("no errno", (int)nr, (s64)r.r1, 22);
        }
    }
    EXPECT_OK(20);
}
