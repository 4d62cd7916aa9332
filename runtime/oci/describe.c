/* spec: a configuration to start from. features: what this runtime honours. checkpoint and restore: not yet. */
#include "runtime/oci/oci.h"
#include "runtime/oci/config.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char spec_text[] =
"{\n"
"  \"ociVersion\": \"" OCI_VERSION "\",\n"
"  \"process\": {\n"
"    \"terminal\": true,\n"
"    \"user\": { \"uid\": 0, \"gid\": 0 },\n"
"    \"args\": [ \"sh\" ],\n"
"    \"env\": [ \"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\", \"TERM=xterm\" ],\n"
"    \"cwd\": \"/\",\n"
"    \"capabilities\": {\n"
"      \"bounding\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ],\n"
"      \"effective\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ],\n"
"      \"permitted\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ]\n"
"    },\n"
"    \"rlimits\": [ { \"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024 } ],\n"
"    \"noNewPrivileges\": true\n"
"  },\n"
"  \"root\": { \"path\": \"rootfs\", \"readonly\": true },\n"
"  \"hostname\": \"sundog\",\n"
"  \"mounts\": [\n"
"    { \"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\" },\n"
"    { \"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\", \"options\": [ \"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\" ] },\n"
"    { \"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
"      \"options\": [ \"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\", \"gid=5\" ] },\n"
"    { \"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\", \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\" ] },\n"
"    { \"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\", \"options\": [ \"nosuid\", \"noexec\", \"nodev\" ] },\n"
"    { \"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\", \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"ro\" ] }\n"
"  ],\n"
"  \"linux\": {\n"
"    \"resources\": { \"devices\": [ { \"allow\": false, \"access\": \"rwm\" } ] },\n"
"    \"namespaces\": [ { \"type\": \"pid\" }, { \"type\": \"network\" }, { \"type\": \"ipc\" }, { \"type\": \"uts\" }, { \"type\": \"mount\" } ],\n"
"    \"maskedPaths\": [ \"/proc/acpi\", \"/proc/kcore\", \"/proc/keys\", \"/proc/latency_stats\", \"/proc/timer_list\", \"/proc/timer_stats\",\n"
"                     \"/proc/sched_debug\", \"/sys/firmware\", \"/proc/scsi\" ],\n"
"    \"readonlyPaths\": [ \"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\", \"/proc/sysrq-trigger\" ]\n"
"  }\n"
"}\n";

/* The caller's ids become root's inside; nobody unprivileged sets limits. */
static char *rootless_text(void)
{
    json_object *doc = json_tokener_parse(spec_text), *lin, *list, *ns = json_object_new_object();
    json_object_object_get_ex(doc, "linux", &lin);
    json_object_object_get_ex(lin, "namespaces", &list);
    json_object_object_del(lin, "resources");
    json_object_object_add(ns, "type", json_object_new_string("user"));
    json_object_array_add(list, ns);
    for (int i = 0; i < 2; i++) {
        json_object *map = json_object_new_object(), *one = json_object_new_array();
        json_object_object_add(map, "containerID", json_object_new_int(0));
        json_object_object_add(map, "hostID", json_object_new_int64(i ? getegid() : geteuid()));
        json_object_object_add(map, "size", json_object_new_int(1));
        json_object_array_add(one, map);
        json_object_object_add(lin, i ? "gidMappings" : "uidMappings", one);
    }
    char *text = xstrdup(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(doc);
    return text;
}

int oci_cmd_spec(int argc, char **argv)
{
    const char *bundle = NULL, *file = "config.json";
    bool rootless = false;
    struct oci_opt opts[] = { { "bundle", 'b', OPT_STR, &bundle }, { "rootless", 0, OPT_FLAG, &rootless }, { "config", 'f', OPT_STR, &file } };
    int n, r = oci_options(opts, ARRAY_LEN(opts), argc, argv, false, &n);
    if (r > 0) return 0;
    if (!r && bundle && chdir(bundle)) r = oci_fail("bundle %s: %s", bundle, strerror(errno));
    if (!r) {
        int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0) r = oci_fail(errno == EEXIST ? "file %s exists. Remove it first" : "open %s: %s", file, strerror(errno));
        else {
            AUTO_FREE char *own = rootless ? rootless_text() : xstrdup(spec_text);
            if (write(fd, own, strlen(own)) != (ssize_t)strlen(own)) r = oci_fail("writing %s: %s", file, strerror(errno));
            close(fd);
        }
    }
    return r ? oci_report(OCI_EXIT_FAILED) : 0;
}

static const char features_text[] =
"{\n"
"  \"ociVersionMin\": \"1.0.0\",\n"
"  \"ociVersionMax\": \"" OCI_VERSION "\",\n"
"  \"hooks\": [ \"prestart\", \"createRuntime\", \"createContainer\", \"startContainer\", \"poststart\", \"poststop\" ],\n"
"  \"mountOptions\": [ \"async\", \"atime\", \"bind\", \"defaults\", \"dev\", \"diratime\", \"dirsync\", \"exec\", \"mand\", \"noatime\", \"nodev\",\n"
"    \"nodiratime\", \"noexec\", \"nomand\", \"norelatime\", \"nostrictatime\", \"nosuid\", \"private\", \"ratime\", \"rbind\", \"rdev\", \"relatime\",\n"
"    \"remount\", \"rexec\", \"rnoatime\", \"rnodev\", \"rnoexec\", \"rnorelatime\", \"rnosuid\", \"ro\", \"rprivate\", \"rrelatime\", \"rro\", \"rrw\",\n"
"    \"rshared\", \"rslave\", \"rstrictatime\", \"rsuid\", \"runbindable\", \"rw\", \"shared\", \"slave\", \"strictatime\", \"suid\", \"sync\",\n"
"    \"tmpcopyup\", \"unbindable\" ],\n"
"  \"linux\": {\n"
"    \"namespaces\": [ \"cgroup\", \"ipc\", \"mount\", \"network\", \"pid\", \"user\", \"uts\" ],\n"
"    \"capabilities\": [ %s ],\n"
"    \"cgroup\": { \"v1\": true, \"v2\": true, \"systemd\": false, \"systemdUser\": false, \"rdma\": true },\n"
"    \"seccomp\": {\n"
"      \"enabled\": true,\n"
"      \"actions\": [ \"SCMP_ACT_ALLOW\", \"SCMP_ACT_ERRNO\", \"SCMP_ACT_KILL\", \"SCMP_ACT_KILL_PROCESS\", \"SCMP_ACT_KILL_THREAD\", \"SCMP_ACT_LOG\",\n"
"        \"SCMP_ACT_TRACE\", \"SCMP_ACT_TRAP\" ],\n"
"      \"operators\": [ \"SCMP_CMP_EQ\", \"SCMP_CMP_GE\", \"SCMP_CMP_GT\", \"SCMP_CMP_LE\", \"SCMP_CMP_LT\", \"SCMP_CMP_MASKED_EQ\", \"SCMP_CMP_NE\" ],\n"
"      \"archs\": [ \"SCMP_ARCH_X86_64\" ],\n"
"      \"knownFlags\": [ \"SECCOMP_FILTER_FLAG_TSYNC\", \"SECCOMP_FILTER_FLAG_SPEC_ALLOW\", \"SECCOMP_FILTER_FLAG_LOG\" ],\n"
"      \"supportedFlags\": [ \"SECCOMP_FILTER_FLAG_TSYNC\", \"SECCOMP_FILTER_FLAG_SPEC_ALLOW\", \"SECCOMP_FILTER_FLAG_LOG\" ]\n"
"    },\n"
"    \"apparmor\": { \"enabled\": false },\n"
"    \"selinux\": { \"enabled\": false },\n"
"    \"intelRdt\": { \"enabled\": false },\n"
"    \"mountExtensions\": { \"idmap\": { \"enabled\": false } },\n"
"    \"netDevices\": { \"enabled\": false }\n"
"  },\n"
"  \"annotations\": { \"sundog.version\": \"" SUNDOG_VERSION "\", \"sundog.checkpoint.enabled\": \"false\" },\n"
"  \"potentiallyUnsafeConfigAnnotations\": [ \"sundog.\" ]\n"
"}\n";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
int oci_cmd_features(int argc, char **argv)
{
    int n, r = oci_options(NULL, 0, argc, argv, false, &n);
    if (r) return r > 0 ? 0 : oci_report(OCI_EXIT_FAILED);
    static const char *const caps[] = { "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
        "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE",
        "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE" };
    char list[2048] = "";
    for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
        size_t at = strlen(list);
        snprintf(list + at, sizeof(list) - at, "%s\"CAP_%s\"", i ? ", " : "", caps[i]);
    }
    printf(features_text, list);
    return 0;
}
#pragma GCC diagnostic pop

int oci_cmd_checkpoint(int argc UNUSED, char **argv UNUSED)
{
    oci_fail("checkpoint is not supported: a sandbox cannot be written to disk yet");
    return oci_report(OCI_EXIT_FAILED);
}

int oci_cmd_restore(int argc UNUSED, char **argv UNUSED)
{
    oci_fail("restore is not supported: a sandbox cannot be written to disk yet");
    return oci_report(OCI_EXIT_FAILED);
}
