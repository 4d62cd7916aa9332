#include "runtime/import/ini.h"
#include "sentry/base/alloc.h"

#include <string.h>

/* Escapes, in place. */
static void unescape(char *s)
{
    char *out = s;
    for (; *s; s++) {
        static const char from[] = "sntr\\;", to[] = " \n\t\r\\;";
        const char *e = *s == '\\' && s[1] ? strchr(from, s[1]) : NULL;
        if (e) *out++ = to[e - from], s++;
        else *out++ = *s;
    }
    *out = 0;
}

static void trim(char *s)
{
    size_t n = strlen(s);
    while (n && strchr(" \t\r", s[n - 1])) s[--n] = 0;
}

int ini_parse(const char *text, size_t len, ini_entry each, void *arg, unsigned *line, const char **why)
{
    AUTO_FREE char *group = NULL;
    *line = 1;
    *why = "this is not a text file (it holds a zero byte)";
    if (memchr(text, 0, len)) return -EINVAL;
    for (*line = 0; len;) {
        const char *nl = memchr(text, '\n', len);
        size_t n = nl ? (size_t)(nl - text) : len;
        AUTO_FREE char *copy = xstrndup(text, n);
        char *s = copy + strspn(copy, " \t\r");
        text += n + (nl != NULL);
        len -= n + (nl != NULL);
        ++*line;
        trim(s);
        if (!*s || *s == '#') continue;
        if (*s == '[') {
            char *end = strchr(s, ']');
            *why = "a group is [NAME] alone in its line";
            if (!end || end[1] || end == s + 1) return -EINVAL;
            *end = 0;
            free(group);
            group = xstrdup(s + 1);
            continue;
        }
        char *eq = strchr(s, '=');
        *why = "KEY=VALUE or [GROUP] is wanted";
        if (!eq || eq == s) return -EINVAL;
        *why = "there is no [GROUP] before the first KEY=VALUE";
        if (!group) return -EINVAL;
        *eq++ = 0;
        trim(s);
        eq += strspn(eq, " \t");
        if (strchr(s, '[')) continue;
        unescape(eq);
        each(arg, group, s, eq, *line);
    }
    return 0;
}
