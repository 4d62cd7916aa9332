/* libc.so.1: strings and characters that are not taken from musl; the "C" locale. */
#include "impl.h"
#include <ctype.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

static const char *const err_text[] = {
    "Error 0", "Not owner", "No such file or directory", "No such process", "Interrupted system call", "I/O error",
    "No such device or address", "Arg list too long", "Exec format error", "Bad file number", "No child processes",
    "Resource temporarily unavailable", "Not enough space", "Permission denied", "Bad address", "Block device required",
    "Device busy", "File exists", "Cross-device link", "No such device", "Not a directory", "Is a directory",
    "Invalid argument", "File table overflow", "Too many open files", "Inappropriate ioctl for device", "Text file busy",
    "File too large", "No space left on device", "Illegal seek", "Read-only file system", "Too many links", "Broken pipe",
    "Argument out of domain", "Result too large", "No message of desired type", "Identifier removed",
    "Channel number out of range", "Level 2 not synchronized", "Level 3 halted", "Level 3 reset",
    "Link number out of range", "Protocol driver not attached", "No CSI structure available", "Level 2 halted",
    "Deadlock situation detected/avoided", "No record locks available", "Operation canceled", "Operation not supported",
    "Disc quota exceeded", "Bad exchange descriptor", "Bad request descriptor", "Message tables full", "Anode table overflow",
    "Bad request code", "Invalid slot", "File locking deadlock", "Bad font file format",
    "Owner of the lock died", "Lock is not recoverable", "Not a stream device",
    "No data available", "Timer expired", "Out of stream resources", "Machine is not on the network", "Package not installed",
    "Object is remote", "Link has been severed", "Advertise error", "Srmount error", "Communication error on send",
    "Protocol error", "Locked lock was unmapped ", "Facility is not active", "Multihop attempted", [77] = "Not a data message",
    "File name too long", "Value too large for defined data type", "Name not unique on network",
    "File descriptor in bad state", "Remote address changed", "Can not access a needed shared library",
    "Accessing a corrupted shared library", ".lib section in a.out corrupted",
    "Attempting to link in more shared libraries than system limit", "Can not exec a shared library directly",
    "Illegal byte sequence", "Operation not applicable",
    "Number of symbolic links encountered during path name traversal exceeds MAXSYMLINKS",
    "Interrupted system call should be restarted", "Error 92", "Directory not empty", "Too many users",
    "Socket operation on non-socket", "Destination address required", "Message too long",
    "Protocol wrong type for socket", "Option not supported by protocol", [120] = "Protocol not supported",
    "Socket type not supported", "Operation not supported on transport endpoint", "Protocol family not supported",
    "Address family not supported by protocol family", "Address already in use", "Cannot assign requested address",
    "Network is down", "Network is unreachable", "Network dropped connection because of reset",
    "Software caused connection abort", "Connection reset by peer", "No buffer space available",
    "Transport endpoint is already connected", "Transport endpoint is not connected", [143] = "Cannot send after socket shutdown",
    "Too many references: cannot splice", "Connection timed out", "Connection refused", "Host is down", "No route to host",
    "Operation already in progress", "Operation now in progress", "Stale NFS file handle"
};
char *strerror(int e)
{
    if (e >= 0 && (size_t)e < sizeof(err_text) / sizeof(err_text[0]) && err_text[e])
        return (char *)err_text[e];
    errno = EINVAL;
    return (char *)"Unknown error";
}
int strerror_r(int e, char *b, size_t n)
{
    if (e < 0 || (size_t)e >= sizeof(err_text) / sizeof(err_text[0]) || !err_text[e])
        return EINVAL;
    return strlcpy(b, err_text[e], n) >= n ? ERANGE : 0;
}

char *strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = malloc(n);

    return p ? memcpy(p, s, n) : NULL;
}
char *strndup(const char *s, size_t n)
{
    size_t k = strnlen(s, n);
    char *p = malloc(k + 1);

    if (p) {
        memcpy(p, s, k);
        p[k] = 0;
    }
    return p;
}
void *memccpy(void *d, const void *s, int c, size_t n)
{
    const unsigned char *p = s;
    unsigned char *q = d;

    while (n--)
        if ((*q++ = *p++) == (unsigned char)c)
            return q;
    return NULL;
}
int strcoll(const char *a, const char *b) { return strcmp(a, b); }
size_t strxfrm(char *d, const char *s, size_t n) { return strlcpy(d, s, n); }
char *strnstr(const char *s, const char *f, size_t n)
{
    size_t k = strlen(f);

    for (; n >= k && (*s || !k); s++, n--)
        if (!strncmp(s, f, k))
            return (char *)s;
    return NULL;
}
void explicit_bzero(void *p, size_t n)
{
    memset(p, 0, n);
    __asm__ volatile("" ::"r"(p) : "memory");
}
int timingsafe_memcmp(const void *a, const void *b, size_t n)
{
    int r = 0;

    for (size_t i = n; i-- > 0;) {
        int d = ((const unsigned char *)a)[i] - ((const unsigned char *)b)[i];
        r = (r & -(d == 0)) | d;
    }
    return r;
}
int bcmp(const void *a, const void *b, size_t n) { return memcmp(a, b, n); }
void bcopy(const void *s, void *d, size_t n) { memmove(d, s, n); }
void bzero(void *p, size_t n) { memset(p, 0, n); }
char *index(const char *s, int c) { return strchr(s, c); }
char *rindex(const char *s, int c) { return strrchr(s, c); }
int fls(int v) { return v ? 32 - __builtin_clz((unsigned)v) : 0; }
int flsl(long v) { return v ? 64 - __builtin_clzl((unsigned long)v) : 0; }
char *ulltostr(unsigned long long v, char *end)
{
    do
        *--end = (char)('0' + v % 10);
    while (v /= 10);
    return end;
}
char *lltostr(long long v, char *end)
{
    end = ulltostr(v < 0 ? 0ULL - (unsigned long long)v : (unsigned long long)v, end);
    if (v < 0)
        *--end = '-';
    return end;
}
int abs(int v) { return v < 0 ? -v : v; }
long labs(long v) { return v < 0 ? -v : v; }
long long llabs(long long v) { return v < 0 ? -v : v; }
intmax_t imaxabs(intmax_t);
intmax_t imaxabs(intmax_t v) { return v < 0 ? -v : v; }
int rand_r(unsigned int *s)
{
    *s = *s * 1103515245 + 12345;
    return (int)(*s >> 16 & RAND_MAX);
}
/* RAND_MAX is 32767 here, and the sequence is the documented one of the C standard's example */
static unsigned int rand_state = 1;
int rand(void) { return rand_r(&rand_state); }
void srand(unsigned int s) { rand_state = s; }

/* --- characters: "C" locale --- */

int isdigit(int c) { return (unsigned)c - '0' < 10; }
int islower(int c) { return (unsigned)c - 'a' < 26; }
int isupper(int c) { return (unsigned)c - 'A' < 26; }
int isalpha(int c) { return ((unsigned)c | 32) - 'a' < 26; }
int isalnum(int c) { return isalpha(c) || isdigit(c); }
int isblank(int c) { return c == ' ' || c == '\t'; }
int iscntrl(int c) { return (unsigned)c < 32 || c == 127; }
int isgraph(int c) { return (unsigned)c - 33 < 94; }
int isprint(int c) { return (unsigned)c - 32 < 95; }
int ispunct(int c) { return isgraph(c) && !isalnum(c); }
int isspace(int c) { return c == ' ' || (unsigned)c - 9 < 5; }
int isxdigit(int c) { return isdigit(c) || ((unsigned)c | 32) - 'a' < 6; }
int isascii(int c) { return (unsigned)c < 128; }
int toascii(int c) { return c & 127; }
int tolower(int c) { return isupper(c) ? c + 32 : c; }
int toupper(int c) { return islower(c) ? c - 32 : c; }
/* the classic table: classes of -1..255, then upper/lower mapping; filled once, read by old macros */
unsigned char __ctype[1 + 256 + 256 + 8];
static void __attribute__((constructor)) ctype_init(void)
{
    for (int c = 0; c < 128; c++)
        __ctype[1 + c] = (unsigned char)((isupper(c) ? 1 : 0) | (islower(c) ? 2 : 0) | (isdigit(c) ? 4 : 0) |
                                         (isspace(c) ? 8 : 0) | (ispunct(c) ? 16 : 0) | (iscntrl(c) ? 32 : 0) |
                                         (c == ' ' ? 64 : 0) | (isxdigit(c) ? 128 : 0));
    for (int c = 0; c < 256; c++)
        __ctype[257 + 1 + c - 1] = (unsigned char)(isupper(c) ? tolower(c) : islower(c) ? toupper(c) : c);
}

/* --- locale --- */

static int utf8; /* LC_CTYPE is C.UTF-8 or another UTF-8 locale */
unsigned char __ctype_get_mb_cur_max(void) { return utf8 ? 4 : 1; }
size_t __ctype_get_mb_cur_max_long(void) __attribute__((visibility("hidden")));
char *setlocale(int cat, const char *name)
{
    static char now[2][8] = { "C", "C.UTF-8" };

    if (cat < 0 || cat > LC_ALL)
        return NULL;
    if (name) {
        if (!*name) {
            const char *v = getenv("LC_ALL");
            if (!v || !*v)
                v = getenv("LC_CTYPE");
            if (!v || !*v)
                v = getenv("LANG");
            name = v && *v ? v : "C";
        }
        int u = strstr(name, "UTF-8") || strstr(name, "utf8");
        if (!u && strcmp(name, "C") && strcmp(name, "POSIX"))
            return NULL; /* only these are built in */
        if (cat == LC_CTYPE || cat == LC_ALL)
            utf8 = u;
    }
    return now[utf8 && (cat == LC_CTYPE || cat == LC_ALL)];
}
struct lconv *localeconv(void)
{
    static char e[] = "", dot[] = ".";
    static struct lconv c = { dot, e, e, e, e, e, e, e, e, e, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127 };
    return &c;
}
char *nl_langinfo(nl_item i)
{
    static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
                                        "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "January", "February", "March",
                                        "April", "May", "June", "July", "August", "September", "October", "November",
                                        "December", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
                                        "Nov", "Dec" };
    const char *s = "";

    if (i >= DAY_1 && i < RADIXCHAR)
        return (char *)days[i - DAY_1];
    switch (i) {
    case RADIXCHAR: s = "."; break;
    case YESSTR: s = "yes"; break;
    case NOSTR: s = "no"; break;
    case D_T_FMT: s = "%a %b %e %H:%M:%S %Y"; break;
    case D_FMT: s = "%m/%d/%y"; break;
    case T_FMT: s = "%H:%M:%S"; break;
    case AM_STR: s = "AM"; break;
    case PM_STR: s = "PM"; break;
    case T_FMT_AMPM: s = "%I:%M:%S %p"; break;
    case CODESET: s = utf8 ? "UTF-8" : "646"; break;
    case YESEXPR: s = "^[yY]"; break;
    case NOEXPR: s = "^[nN]"; break;
    }
    return (char *)s;
}

/* --- multibyte: bytes in "C", UTF-8 otherwise --- */

#define ST(ps) ((uint32_t *)(ps)) /* [0] value so far, [1] bytes wanted, [2] smallest value allowed */
size_t mbrtowc(wchar_t *w, const char *s, size_t n, mbstate_t *ps)
{
    static mbstate_t own;
    uint32_t *st = ST(ps ? ps : &own);
    size_t used = 0;

    if (!s) {
        s = "";
        n = 1;
        w = NULL;
    }
    if (!n)
        return (size_t)-2;
    unsigned char c = (unsigned char)*s;
    if (!st[1]) {
        if (c < 0x80 || !utf8) {
            if (w)
                *w = c;
            return c != 0;
        }
        st[1] = c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 0;
        if (!st[1])
            goto bad;
        st[0] = c & (0x3fu >> st[1]);
        st[2] = st[1] == 1 ? 0x80 : st[1] == 2 ? 0x800 : 0x10000;
        used = 1;
    }
    while (st[1]) {
        if (used == n)
            return (size_t)-2;
        c = (unsigned char)s[used++];
        if ((c & 0xc0) != 0x80)
            goto bad;
        st[0] = st[0] << 6 | (c & 0x3f);
        st[1]--;
    }
    if (st[0] < st[2] || st[0] > 0x10ffff || (st[0] >= 0xd800 && st[0] < 0xe000))
        goto bad;
    if (w)
        *w = (wchar_t)st[0];
    return used;
bad:
    st[0] = st[1] = 0;
    errno = EILSEQ;
    return (size_t)-1;
}
size_t wcrtomb(char *s, wchar_t w, mbstate_t *ps)
{
    uint32_t c = (uint32_t)w;

    if (!s)
        return 1;
    if (c < 0x80 || (!utf8 && c < 0x100)) {
        *s = (char)c;
        return 1;
    }
    if (!utf8 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        errno = EILSEQ;
        return (size_t)-1;
    }
    int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, c >>= 6)
        s[i] = (char)(0x80 | (c & 0x3f));
    s[0] = (char)((0xf00 >> n) | c);
    return (size_t)n;
}
int mbtowc(wchar_t *w, const char *s, size_t n)
{
    mbstate_t st = { { 0 } };

    if (!s)
        return 0;
    size_t r = mbrtowc(w, s, n, &st);
    if (r == (size_t)-2) {
        errno = EILSEQ;
        return -1;
    }
    return (int)r;
}
int wctomb(char *s, wchar_t w) { return s ? (int)wcrtomb(s, w, NULL) : 0; }
int mblen(const char *s, size_t n) { return mbtowc(NULL, s, n); }
size_t mbrlen(const char *s, size_t n, mbstate_t *ps)
{
    static mbstate_t own;
    return mbrtowc(NULL, s, n, ps ? ps : &own);
}
int mbsinit(const mbstate_t *ps) { return !ps || !((const uint32_t *)ps)[1]; }
size_t mbsnrtowcs(wchar_t *d, const char **s, size_t in, size_t n, mbstate_t *ps)
{
    static mbstate_t own;
    const char *p = *s;
    size_t k = 0;
    wchar_t w;

    while (in && (!d || k < n)) {
        size_t r = mbrtowc(&w, p, in, ps ? ps : &own);
        if (r == (size_t)-1)
            return r;
        if (r == (size_t)-2) {
            p += in;
            break;
        }
        if (d)
            d[k] = w;
        if (!w) {
            p = NULL;
            break;
        }
        p += r;
        in -= r;
        k++;
    }
    if (d)
        *s = p;
    return k;
}
size_t mbsrtowcs(wchar_t *d, const char **s, size_t n, mbstate_t *ps) { return mbsnrtowcs(d, s, strlen(*s) + 1, n, ps); }
size_t mbstowcs(wchar_t *d, const char *s, size_t n)
{
    mbstate_t st = { { 0 } };
    return mbsrtowcs(d, &s, n, &st);
}
size_t wcsnrtombs(char *d, const wchar_t **s, size_t in, size_t n, mbstate_t *ps)
{
    const wchar_t *p = *s;
    size_t k = 0;
    char b[8];

    for (; in--; p++) {
        size_t r = wcrtomb(b, *p, ps);
        if (r == (size_t)-1)
            return r;
        if (d && k + r > n)
            break;
        if (d)
            memcpy(d + k, b, r);
        if (!*p) {
            p = NULL;
            break;
        }
        k += r;
    }
    if (d)
        *s = p;
    return k;
}
size_t wcsrtombs(char *d, const wchar_t **s, size_t n, mbstate_t *ps) { return wcsnrtombs(d, s, (size_t)-1, n, ps); }
size_t wcstombs(char *d, const wchar_t *s, size_t n) { return wcsrtombs(d, &s, n, NULL); }
wint_t btowc(int c) { return c == EOF ? WEOF : (c < 128 || !utf8) ? (unsigned char)c : WEOF; }
int wctob(wint_t w) { return w >= 0 && (w < 128 || (!utf8 && w < 256)) ? w : EOF; }
wchar_t *wcsdup(const wchar_t *s)
{
    size_t n = (wcslen(s) + 1) * sizeof(*s);
    wchar_t *p = malloc(n);

    return p ? memcpy(p, s, n) : NULL;
}
int wcscoll(const wchar_t *a, const wchar_t *b) { return wcscmp(a, b); }
wint_t fgetwc(FILE *f)
{
    mbstate_t st = { { 0 } };
    wchar_t w;

    for (;;) {
        int c = getc(f);
        char b = (char)c;
        if (c == EOF)
            return WEOF;
        size_t r = mbrtowc(&w, &b, 1, &st);
        if (r == (size_t)-1)
            return WEOF;
        if (r != (size_t)-2)
            return w;
    }
}
wint_t fputwc(wchar_t w, FILE *f)
{
    char b[8];
    size_t n = wcrtomb(b, w, NULL);

    return n != (size_t)-1 && fwrite(b, 1, n, f) == n ? w : WEOF;
}
int fputws(const wchar_t *s, FILE *f)
{
    for (; *s; s++)
        if (fputwc(*s, f) == WEOF)
            return -1;
    return 0;
}

/* getsubopt(3C): for a word that is no token, *value is the whole word. */
int getsubopt(char **opts, char *const *tokens, char **value)
{
    char *word = *opts, *end = strchr(word, ','), *eq;

    if (end)
        *end++ = 0;
    else
        end = word + strlen(word);
    *opts = end;
    eq = strchr(word, '=');
    for (int i = 0; tokens[i]; i++) {
        size_t n = eq ? (size_t)(eq - word) : strlen(word);
        if (!strncmp(word, tokens[i], n) && !tokens[i][n]) {
            *value = eq ? eq + 1 : NULL;
            return i;
        }
    }
    *value = word;
    return -1;
}
