#ifndef _LANGINFO_H
#define _LANGINFO_H
typedef int nl_item;
#define DAY_1 1
#define ABDAY_1 8
#define MON_1 15
#define ABMON_1 27
#define RADIXCHAR 39
#define THOUSEP 40
#define YESSTR 41
#define NOSTR 42
#define CRNCYSTR 43
#define D_T_FMT 44
#define D_FMT 45
#define T_FMT 46
#define AM_STR 47
#define PM_STR 48
#define CODESET 49
#define T_FMT_AMPM 50
#define YESEXPR 57
#define NOEXPR 58
char *nl_langinfo(nl_item);
#endif
