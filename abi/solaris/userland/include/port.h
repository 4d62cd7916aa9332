#ifndef _PORT_H
#define _PORT_H
#include <sys/types.h>
#define PORT_SOURCE_AIO 1
#define PORT_SOURCE_TIMER 2
#define PORT_SOURCE_USER 3
#define PORT_SOURCE_FD 4
#define PORT_SOURCE_ALERT 5
#define PORT_SOURCE_MQ 6
#define PORT_SOURCE_FILE 7
#define PORT_ALERT_SET 1
#define PORT_ALERT_UPDATE 2
#define PORT_ALERT_INVALID 3
#define FILE_ACCESS 1
#define FILE_MODIFIED 2
#define FILE_ATTRIB 4
#define FILE_DELETE 0x10
#define FILE_RENAME_TO 0x20
#define FILE_RENAME_FROM 0x40
#define FILE_TRUNC 0x100000
#define FILE_NOFOLLOW 0x10000000
typedef struct port_event {
    int portev_events;
    unsigned short portev_source, portev_pad;
    uintptr_t portev_object;
    void *portev_user;
} port_event_t;
typedef struct port_notify { int portnfy_port; void *portnfy_user; } port_notify_t;
typedef struct file_obj { timestruc_t fo_atime, fo_mtime, fo_ctime; uintptr_t fo_pad[3]; char *fo_name; } file_obj_t;
int port_create(void);
int port_associate(int, int, uintptr_t, int, void *);
int port_dissociate(int, int, uintptr_t);
int port_send(int, int, void *);
int port_sendn(int[], int[], unsigned int, int, void *);
int port_get(int, port_event_t *, struct timespec *);
int port_getn(int, port_event_t[], unsigned int, unsigned int *, struct timespec *);
int port_alert(int, int, int, void *);
#endif
