/* Source: getpwnam(3C), getpwuid(3C), getgrnam(3C), getgrgid(3C): from /etc/passwd and /etc/group. */
#include <stdio.h>
#include <string.h>
#include <pwd.h>
#include <grp.h>
#include <errno.h>
int main(void)
{
    struct passwd *p = getpwnam("root"), pw, *r; struct group *g; char b[1024]; int n = 0;
    printf("%s %d %s\n", p->pw_name, (int)p->pw_uid, p->pw_dir);
    p = getpwuid(0);
    printf("%s\n", p->pw_name);
    printf("%d\n", getpwnam("nobody-of-that-name") == NULL);
    printf("%d %d\n", getpwnam_r("root", &pw, b, sizeof b, &r), r == &pw);
    printf("%d\n", getpwnam_r("root", &pw, b, 3, &r) == ERANGE);
    g = getgrgid(0);
    printf("%s %d\n", g->gr_name, getgrnam("root")->gr_gid);
    setpwent();
    while (getpwent()) n++;
    endpwent();
    printf("%d\n", n >= 1);
    return 0;
}
