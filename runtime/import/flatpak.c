/*
 * Permissions of flatpak applications: metadata and overrides (flatpak-metadata(5), key files), or the `finish-args` of a
 * manifest in JSON (flatpak-build-finish(1)). An application of flatpak has a runtime and its own files as the root; a
 * profile shows the host's programs instead, so what counts here is what of the user's the application may reach.
 */
#include "runtime/import/import.h"
#include "runtime/import/ini.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"

#include <ctype.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

static const char not_shown[] = "sockets and devices of the host are not shown";

static void share(struct import *im, const char *v)
{
    if (!strcmp(v, "network")) {
        import_rule(im, PS_NET, PK_CONNECT, "*:*", NULL);
        import_rule(im, PS_NET, PK_LISTEN, "*:*", NULL);
        im->network = true;
        import_hint(im, "The original may connect to every host: name those that it needs in [net] instead.");
        import_drop(im, "connections to the host's own loopback", "a rule has to name it: `connect loopback:PORT`");
    } else if (!strcmp(v, "ipc")) import_drop(im, "shared=ipc", "shared memory is the sandbox's own");
    else import_drop(im, v, "not known as something to share");
}

static void feature(struct import *im, const char *v)
{
    if (!strcmp(v, "devel")) import_rule(im, PS_SYS, PK_ALLOW, "ptrace", NULL);
    else if (!strcmp(v, "per-app-dev-shm")) im->held++;
    else import_drop(im, v, "there is no counterpart of this feature");
}

/* Where a name of flatpak lies; NULL: not a place that can be shown, then *why. malloc'ed */
static char *place(const char *name, const char **why)
{
    static const struct { const char *xdg, *path; } dirs[] = { { "xdg-desktop", "${HOME}/Desktop" }, { "xdg-documents", "${HOME}/Documents" },
        { "xdg-download", "${HOME}/Downloads" }, { "xdg-music", "${HOME}/Music" }, { "xdg-pictures", "${HOME}/Pictures" },
        { "xdg-public-share", "${HOME}/Public" }, { "xdg-templates", "${HOME}/Templates" }, { "xdg-videos", "${HOME}/Videos" },
        { "xdg-config", "${CONFIG}" }, { "xdg-cache", "${CACHE}" }, { "xdg-data", "${DATA}" }, { "home", "${HOME}" }, { "~", "${HOME}" } };
    *why = not_shown;
    if (import_beneath(name, "xdg-run") || import_beneath(name, "/run") || import_beneath(name, "/dev")) return NULL;
    *why = "the sandbox has its own there";
    if (import_beneath(name, "/proc") || import_beneath(name, "/sys") || import_beneath(name, "/tmp")) return NULL;
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (import_beneath(name, dirs[i].xdg)) return xasprintf("%s%s", dirs[i].path, name + strlen(dirs[i].xdg));
    *why = "not a place that flatpak-metadata(5) knows";
    if (*name == '/') return xstrdup(name);
    return NULL;
}

static void filesystem(struct import *im, const char *written)
{
    AUTO_FREE char *v = xstrdup(written);
    const char *name = v, *why;
    bool no = *name == '!';
    if (no) name++;
    char *colon = strrchr(v, ':');
    enum pkey k = PK_RW;
    if (colon) {
        if (!strcmp(colon, ":ro")) k = PK_RO;
        else if (!strcmp(colon, ":reset")) no = true;
        else if (!strcmp(colon, ":create")) import_drop(im, written, "a profile makes no directories: make it before the run");
        else if (strcmp(colon, ":rw")) colon = NULL;
        if (colon) *colon = 0;
    }
    if (no) k = PK_DENY;
    if (!strcmp(name, "host") || !strcmp(name, "host-reset")) {
        static const char *const all[] = { "${HOME}", "/home", "/media", "/mnt", "/srv" };
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
            if (!no) import_rule(im, PS_FILES, k, all[i], NULL);
        return;
    }
    if (!strcmp(name, "host-os") || !strcmp(name, "host-etc") || !strcmp(name, "host-root")) {
        if (!strcmp(name, "host-os")) im->held++; /* /usr is shown anyway */
        else import_drop(im, written, "the host's /etc is shown as far as the fragment `system` names it");
        return;
    }
    AUTO_FREE char *path = place(name, &why);
    if (path) import_rule(im, PS_FILES, k, path, NULL);
    else import_drop(im, written, why);
}

static void persist(struct import *im, const char *v) { import_drop(im, v, "a persistent directory would have to lie at another place than it shows"); }
static void device(struct import *im, const char *v) { import_drop(im, v, not_shown); }
static void socket_of(struct import *im, const char *v) { import_drop(im, v, not_shown); }

/* Lists of [Context]; an entry that begins with ! takes back, which is what nothing said means here. */
static const struct context { const char *key, *option; void (*take)(struct import *im, const char *v); } contexts[] = {
    { "shared", "--share=", share }, { "sockets", "--socket=", socket_of }, { "devices", "--device=", device }, { "features", "--allow=", feature },
    { "filesystems", "--filesystem=", filesystem }, { "persistent", "--persist=", persist },
};

static void set_env(struct import *im, const char *k, const char *v)
{
    AUTO_FREE char *clean = xstrdup(v);
    if (strstr(clean, "${")) import_drop(im, k, "its value would be taken for a variable of the profile");
    else import_rule(im, PS_ENV, PK_SET, k, clean);
}

static void context_list(struct import *im, const char *key, const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(contexts); i++) {
        if (strcmp(contexts[i].key, key)) continue;
        AUTO_FREE char *copy = xstrdup(value);
        for (char *save, *w = strtok_r(copy, ";", &save); w; w = strtok_r(NULL, ";", &save)) {
            if (*w == '!' && contexts[i].take != filesystem) im->held++;
            else contexts[i].take(im, w);
        }
        return;
    }
    AUTO_FREE char *what = xasprintf("%s=%s", key, value);
    if (!strcmp(key, "unset-environment")) im->held++;
    else import_drop(im, what, "there is no counterpart");
}

static void named(struct import *im, const char *id)
{
    if (im->name || !*id) return;
    im->name = xstrdup(id);
    AUTO_FREE char *own = xasprintf("${HOME}/.var/app/%s", id);
    if (!strchr(id, '/')) import_rule(im, PS_FILES, PK_RWX, own, NULL);
}

static void entry(void *arg, const char *group, const char *key, const char *value, unsigned line)
{
    struct import *im = arg;
    im->line = line;
    AUTO_FREE char *what = xasprintf("[%s] %s=%s", group, key, value);
    if (!strcmp(group, "Application") || !strcmp(group, "Runtime")) {
        if (!strcmp(key, "name")) named(im, value);
        else if (!strcmp(key, "command")) import_hint(im, "Its command: %s", value);
        else if (!strcmp(key, "runtime")) import_hint(im, "Its runtime was %s; here it sees the host's /usr.", value);
        else if (strcmp(key, "sdk") && strcmp(key, "base") && strcmp(key, "tags") && strcmp(key, "required-flatpak")) import_drop(im, what, "there is no counterpart");
    } else if (!strcmp(group, "Context")) context_list(im, key, value);
    else if (!strcmp(group, "Environment")) set_env(im, key, value);
    else if (strstr(group, "Bus Policy")) import_drop(im, what, "no message bus is shown");
    else if (!strncmp(group, "Extension", 9) || !strcmp(group, "ExtensionOf")) import_drop(im, what, "extensions are of the runtime, which is not used");
    else if (!strcmp(group, "Build") || !strcmp(group, "Instance")) im->held++;
    else import_drop(im, what, "there is no counterpart");
}

static void finish_arg(struct import *im, const char *a)
{
    for (size_t i = 0; i < ARRAY_LEN(contexts); i++)
        if (!strncmp(a, contexts[i].option, strlen(contexts[i].option))) {
            contexts[i].take(im, a + strlen(contexts[i].option));
            return;
        }
    const char *eq = strchr(a, '='), *second = eq ? strchr(eq + 1, '=') : NULL;
    if (!strncmp(a, "--nofilesystem=", 15)) {
        AUTO_FREE char *v = xasprintf("!%s", a + 15);
        filesystem(im, v);
    } else if (!strncmp(a, "--env=", 6) && second) {
        AUTO_FREE char *k = xstrndup(eq + 1, (size_t)(second - eq - 1));
        set_env(im, k, second + 1);
    } else if (strstr(a, "-name=")) import_drop(im, a, "no message bus is shown");
    else if (!strncmp(a, "--unshare=", 10) || !strncmp(a, "--nosocket=", 11) || !strncmp(a, "--nodevice=", 11) || !strncmp(a, "--disallow=", 11) ||
             !strncmp(a, "--unset-env=", 12) || !strncmp(a, "--metadata=", 11))
        im->held++;
    else import_drop(im, a, "there is no counterpart");
}

static const char *text_member(json_object *o, const char *key)
{
    json_object *v;
    return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

/* Manifests have comments, which json-c takes unless it is told to be strict. */
static int manifest(struct import *im, const char *text, size_t len)
{
    json_tokener *t = json_tokener_new_ex(64);
    json_tokener_set_flags(t, JSON_TOKENER_VALIDATE_UTF8);
    json_object *o = json_tokener_parse_ex(t, text, (int)len), *args;
    enum json_tokener_error e = json_tokener_get_error(t);
    size_t end = json_tokener_get_parse_end(t);
    json_tokener_free(t);
    int r = 0;
    if (e != json_tokener_success || !json_object_is_type(o, json_type_object)) {
        json_object_put(o);
        return fail("%s: invalid JSON at byte %zu: %s", im->source, end, e == json_tokener_continue ? "the text ends too early" : json_tokener_error_desc(e));
    }
    const char *id = text_member(o, "app-id"), *v;
    if (!id) id = text_member(o, "id");
    if (id) named(im, id);
    if ((v = text_member(o, "command"))) import_hint(im, "Its command: %s", v);
    if ((v = text_member(o, "runtime"))) import_hint(im, "Its runtime was %s; here it sees the host's /usr.", v);
    if (!json_object_object_get_ex(o, "finish-args", &args) || !json_object_is_type(args, json_type_array)) {
        r = fail("%s: there is no list `finish-args` in it: is it the manifest of an application?", im->source);
    } else {
        size_t n = MIN(json_object_array_length(args), (size_t)IMPORT_RULES_MAX);
        for (size_t i = 0; i < n; i++) {
            json_object *a = json_object_array_get_idx(args, i);
            if (json_object_is_type(a, json_type_string)) finish_arg(im, json_object_get_string(a));
        }
    }
    json_object_put(o);
    return r;
}

int import_flatpak(struct import *im, const char *text, size_t len)
{
    /* What flatpak refuses to its applications and the fragment `system` does not. */
    static const char *const groups[] = { "@mount", "@keyring", "@numa" };
    size_t at = 0;
    im->file = im->source;
    while (at < len && isspace((unsigned char)text[at])) at++;
    int r;
    if (at < len && text[at] == '{') {
        r = manifest(im, text, len);
    } else {
        unsigned line = 0;
        const char *why = NULL;
        r = ini_parse(text, len, entry, im, &line, &why);
        bool yaml = r && (memmem(text, len, "finish-args:", 12) || memmem(text, len, "app-id:", 7));
        if (yaml) r = fail("%s: a manifest in YAML is not understood: give the metadata of the built application (`flatpak info --show-metadata APP`), "
                           "or the manifest as JSON (`flatpak-builder --show-manifest FILE`)", im->source);
        else if (r) r = fail("%s:%u: %s", im->source, line, why);
    }
    im->line = 0;
    for (size_t i = 0; !r && i < ARRAY_LEN(groups); i++) import_rule(im, PS_SYS, PK_DENY, groups[i], NULL);
    im->file = NULL;
    return r;
}
