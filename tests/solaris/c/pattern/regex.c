/* Source: regcomp(3C). */
#include <stdio.h>
#include <regex.h>
int main(void)
{
    regex_t r; regmatch_t m[3]; char b[64];
    printf("%d\n", regcomp(&r, "([a-z]+)=([0-9]+)", REG_EXTENDED));
    printf("%d", regexec(&r, "  key=42;", 3, m, 0));
    printf(" %d-%d %d-%d %d-%d\n", (int)m[0].rm_so, (int)m[0].rm_eo, (int)m[1].rm_so, (int)m[1].rm_eo, (int)m[2].rm_so, (int)m[2].rm_eo);
    printf("%d %zu\n", regexec(&r, "none", 0, NULL, 0) == REG_NOMATCH, r.re_nsub);
    regfree(&r);
    printf("%d\n", regcomp(&r, "(", REG_EXTENDED) != 0);
    regcomp(&r, "ABC$", REG_ICASE | REG_NOSUB);
    printf("%d %d\n", regexec(&r, "xabc", 0, NULL, 0), regexec(&r, "abcx", 0, NULL, 0) == REG_NOMATCH);
    return 0;
}
