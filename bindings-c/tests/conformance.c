/*
 * Replays steps of the conformance table through the C interface. tests/conformance/run_c.py reads the table, sends
 * requests, and compares the answers; the two speak frames over stdin and stdout:
 *
 *   a field:  NAME SP LENGTH LF, LENGTH bytes, LF
 *   a frame:  fields, then "end 0" LF LF
 *
 * The first field of a request is `verb`. Lists are fields with the same name, in order.
 */
#include <containers.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HANDLES 32
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct field {
    char *name;
    char *data; /* a NUL follows */
    size_t size;
};

struct request {
    struct field *fields;
    size_t count;
};

struct slot {
    char name[32];
    void *handle;
};

static ctr_runtime *runtime;
static struct slot containers[MAX_HANDLES], processes[MAX_HANDLES];

static void fail(const char *why)
{
    fprintf(stderr, "conformance.c: %s\n", why);
    exit(2);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        fail("out of memory");
    return memory;
}

/* ---- frames ---- */

static int read_request(struct request *r)
{
    char name[64];
    size_t room = 0;
    memset(r, 0, sizeof *r);
    for (;;) {
        size_t size;
        struct field *f;
        if (scanf("%63s %zu", name, &size) != 2)
            return 0;
        if (getchar() != '\n')
            fail("malformed frame");
        if (r->count == room) {
            room = room ? 2 * room : 16;
            r->fields = realloc(r->fields, room * sizeof *r->fields);
            if (!r->fields)
                fail("out of memory");
        }
        f = &r->fields[r->count];
        f->name = allocate(strlen(name) + 1);
        strcpy(f->name, name);
        f->data = allocate(size + 1);
        f->size = size;
        if (fread(f->data, 1, size, stdin) != size || getchar() != '\n')
            fail("truncated frame");
        r->count++;
        if (strcmp(name, "end") == 0)
            return 1;
    }
}

static void free_request(struct request *r)
{
    size_t i;
    for (i = 0; i < r->count; i++) {
        free(r->fields[i].name);
        free(r->fields[i].data);
    }
    free(r->fields);
}

static void answer(const char *name, const void *data, size_t size)
{
    printf("%s %zu\n", name, size);
    fwrite(data, 1, size, stdout);
    putchar('\n');
}

static void answer_text(const char *name, const char *text)
{
    answer(name, text, strlen(text));
}

static void answer_number(const char *name, long number)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", number);
    answer_text(name, text);
}

static void answer_output(const ctr_output *o)
{
    answer_number("exit_code", o->exit_code);
    answer_number("signal", o->signal);
    answer_number("oom_killed", o->oom_killed);
    answer("stdout", o->out, o->out_size);
    answer("stderr", o->err, o->err_size);
}

/* ---- fields ---- */

static const struct field *find(const struct request *r, const char *name)
{
    size_t i;
    for (i = 0; i < r->count; i++)
        if (strcmp(r->fields[i].name, name) == 0)
            return &r->fields[i];
    return NULL;
}

static const char *text(const struct request *r, const char *name)
{
    const struct field *f = find(r, name);
    return f ? f->data : NULL;
}

static long long number(const struct request *r, const char *name, long long missing)
{
    const char *t = text(r, name);
    return t ? strtoll(t, NULL, 10) : missing;
}

/* All fields of a name as a list that ends with NULL; NULL when there is none and NAME.empty is not there. */
static const char *const *texts(const struct request *r, const char *name)
{
    size_t i, count = 0;
    char empty[80];
    const char **list = allocate((r->count + 1) * sizeof *list);
    for (i = 0; i < r->count; i++)
        if (strcmp(r->fields[i].name, name) == 0)
            list[count++] = r->fields[i].data;
    snprintf(empty, sizeof empty, "%s.empty", name);
    if (count == 0 && !find(r, empty)) {
        free(list);
        return NULL;
    }
    return list;
}

static const ctr_mount *const *mounts(const struct request *r)
{
    size_t i, count = 0;
    const ctr_mount **list = allocate((r->count + 1) * sizeof *list);
    ctr_mount *m = NULL;
    for (i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        if (strcmp(f->name, "mount") == 0) {
            m = allocate(sizeof *m);
            m->size = sizeof *m;
            list[count++] = m;
        }
        if (!m || strncmp(f->name, "mount.", 6) != 0)
            continue;
        if (strcmp(f->name, "mount.type") == 0)
            m->type = f->data;
        else if (strcmp(f->name, "mount.source") == 0)
            m->source = f->data;
        else if (strcmp(f->name, "mount.target") == 0)
            m->target = f->data;
        else if (strcmp(f->name, "mount.read_only") == 0)
            m->read_only = atoi(f->data);
        else if (strcmp(f->name, "mount.create_source") == 0)
            m->create_source = atoi(f->data);
        else if (strcmp(f->name, "mount.propagation") == 0)
            m->propagation = f->data;
        else if (strcmp(f->name, "mount.tmpfs_size") == 0)
            m->tmpfs_size = atoll(f->data);
        else if (strcmp(f->name, "mount.tmpfs_size_text") == 0)
            m->tmpfs_size_text = f->data;
        else if (strcmp(f->name, "mount.tmpfs_mode") == 0)
            m->tmpfs_mode = (uint32_t)atoi(f->data);
        else
            fail(f->name);
    }
    return list;
}

static void free_create_options(ctr_create_options *o)
{
    size_t i;
    const void *lists[] = {o->entrypoint, o->environment, o->group_add, o->labels, o->annotations, o->ulimits,
                           o->cap_add, o->cap_drop, o->sysctls, o->devices, o->ports, o->dns,
                           o->extra_hosts, o->volumes, o->tmpfs};
    for (i = 0; o->mounts[i]; i++)
        free((void *)o->mounts[i]);
    free((void *)o->mounts);
    if (o->healthcheck)
        free((void *)o->healthcheck->test);
    for (i = 0; i < COUNT(lists); i++)
        free((void *)lists[i]);
}

static ctr_create_options create_options(const struct request *r)
{
    static ctr_healthcheck check = {.size = sizeof check};
    ctr_create_options o = {.size = sizeof o};
    o.name = text(r, "name");
    o.entrypoint = texts(r, "entrypoint");
    o.environment = texts(r, "environment");
    o.working_dir = text(r, "working_dir");
    o.user = text(r, "user");
    o.group_add = texts(r, "group_add");
    o.hostname = text(r, "hostname");
    o.domainname = text(r, "domainname");
    o.labels = texts(r, "labels");
    o.annotations = texts(r, "annotations");
    o.stdin_open = (int32_t)number(r, "stdin_open", 0);
    o.tty = (int32_t)number(r, "tty", 0);
    o.tty_rows = (uint16_t)number(r, "tty_rows", 0);
    o.tty_cols = (uint16_t)number(r, "tty_cols", 0);
    o.read_only = (int32_t)number(r, "read_only", 0);
    o.in_memory = (int32_t)number(r, "in_memory", 0);
    o.init = (int32_t)number(r, "init", 0);
    o.mem_limit = number(r, "mem_limit", 0);
    o.mem_limit_text = text(r, "mem_limit_text");
    o.cpus = text(r, "cpus") ? strtod(text(r, "cpus"), NULL) : 0;
    o.cpu_shares = (uint64_t)number(r, "cpu_shares", 0);
    o.cpuset_cpus = text(r, "cpuset_cpus");
    o.pids_limit = number(r, "pids_limit", 0);
    o.ulimits = texts(r, "ulimits");
    o.shm_size = number(r, "shm_size", 0);
    o.shm_size_text = text(r, "shm_size_text");
    o.cap_add = texts(r, "cap_add");
    o.cap_drop = texts(r, "cap_drop");
    o.privileged = (int32_t)number(r, "privileged", 0);
    o.allow_new_privs = (int32_t)number(r, "allow_new_privs", 0);
    o.seccomp_profile = text(r, "seccomp_profile");
    o.userns = text(r, "userns");
    o.sysctls = texts(r, "sysctls");
    o.devices = texts(r, "devices");
    o.network = text(r, "network");
    o.ports = texts(r, "ports");
    o.dns = texts(r, "dns");
    o.extra_hosts = texts(r, "extra_hosts");
    o.mounts = mounts(r);
    o.volumes = texts(r, "volumes");
    o.tmpfs = texts(r, "tmpfs");
    o.restart_policy = text(r, "restart_policy");
    check.test = texts(r, "healthcheck.test");
    o.healthcheck = check.test ? &check : NULL;
    o.stop_signal = text(r, "stop_signal");
    o.stop_timeout_ms = number(r, "stop_timeout_ms", 0);
    o.auto_remove = (int32_t)number(r, "auto_remove", 0);
    o.detach = (int32_t)number(r, "detach", 0);
    o.pull = text(r, "pull");
    o.platform = text(r, "platform");
    return o;
}

static ctr_exec_options exec_options(const struct request *r)
{
    ctr_exec_options o = {.size = sizeof o};
    o.stdin_open = (int32_t)number(r, "stdin_open", 0);
    o.tty = (int32_t)number(r, "tty", 0);
    o.tty_rows = (uint16_t)number(r, "tty_rows", 0);
    o.tty_cols = (uint16_t)number(r, "tty_cols", 0);
    o.environment = texts(r, "environment");
    o.working_dir = text(r, "working_dir");
    o.user = text(r, "user");
    o.privileged = (int32_t)number(r, "privileged", 0);
    o.timeout_ms = number(r, "timeout_ms", 0);
    return o;
}

static ctr_log_options log_options(const struct request *r)
{
    ctr_log_options o = {.size = sizeof o};
    o.use_tail = text(r, "tail") != NULL;
    o.tail = (uint64_t)number(r, "tail", 0);
    o.follow = (int32_t)number(r, "follow", 0);
    o.no_stdout = (int32_t)number(r, "no_stdout", 0);
    o.no_stderr = (int32_t)number(r, "no_stderr", 0);
    return o;
}

/* ---- handles ---- */

static struct slot *slot(struct slot *slots, const char *name, int make)
{
    size_t i;
    for (i = 0; i < MAX_HANDLES; i++)
        if (slots[i].handle && strcmp(slots[i].name, name) == 0)
            return &slots[i];
    if (!make)
        return NULL;
    for (i = 0; i < MAX_HANDLES; i++)
        if (!slots[i].handle) {
            snprintf(slots[i].name, sizeof slots[i].name, "%s", name);
            return &slots[i];
        }
    fail("too many handles");
    return NULL;
}

static void keep_container(const char *name, ctr_container *c)
{
    struct slot *s = slot(containers, name, 1);
    ctr_container_free(s->handle);
    s->handle = c;
}

static void keep_process(const char *name, ctr_process *p)
{
    struct slot *s = slot(processes, name, 1);
    ctr_process_free(s->handle);
    s->handle = p;
}

static void drop_handles(void)
{
    size_t i;
    for (i = 0; i < MAX_HANDLES; i++) {
        ctr_process_free(processes[i].handle);
        processes[i].handle = NULL;
        ctr_container_free(containers[i].handle);
        containers[i].handle = NULL;
    }
}

/* ---- verbs ---- */

static int32_t open_runtime(const struct request *r, ctr_error **e)
{
    ctr_runtime_options o = {.size = sizeof o};
    o.root = text(r, "root");
    drop_handles();
    if (runtime) {
        ctr_runtime_close(runtime, NULL);
        ctr_runtime_free(runtime);
    }
    return ctr_runtime_open(&o, &runtime, e);
}

static int32_t run(const struct request *r, ctr_error **e)
{
    ctr_create_options create = create_options(r);
    ctr_run_options o = {.size = sizeof o};
    const struct field *input = find(r, "input");
    const char *const *command = texts(r, "command");
    ctr_output *out;
    int32_t result;
    o.create = &create;
    if (input) {
        o.input = input->data;
        o.input_size = input->size;
    }
    o.timeout_ms = number(r, "timeout_ms", 0);
    o.check = (int32_t)number(r, "check", 0);
    o.max_output = (uint64_t)number(r, "max_output", 0);
    result = ctr_container_run(runtime, text(r, "image"), command, &o, &out, e);
    if (result == 0)
        answer_output(out);
    ctr_output_free(out);
    free((void *)command);
    free_create_options(&create);
    return result;
}

static int32_t create(const struct request *r, ctr_error **e)
{
    ctr_create_options o = create_options(r);
    const char *const *command = texts(r, "command");
    ctr_container *c;
    int32_t result = ctr_container_create(runtime, text(r, "image"), command, &o, &c, e);
    if (result == 0)
        keep_container(text(r, "as"), c);
    free((void *)command);
    free_create_options(&o);
    return result;
}

static int32_t exec(const struct request *r, ctr_container *c, ctr_error **e)
{
    ctr_exec_options o = exec_options(r);
    const char *const *command = texts(r, "command");
    int32_t result;
    if (strcmp(text(r, "verb"), "exec_run") == 0) {
        ctr_output *out;
        result = ctr_container_exec_run(c, command, &o, (int32_t)number(r, "check", 0), NULL, &out, e);
        if (result == 0)
            answer_output(out);
        ctr_output_free(out);
    } else {
        ctr_process *p;
        result = ctr_container_exec(c, command, &o, &p, e);
        if (result == 0)
            keep_process(text(r, "as"), p);
    }
    free((void *)command);
    free((void *)o.environment);
    return result;
}

static int32_t get(const struct request *r, ctr_error **e)
{
    const char *reference = text(r, "ref"), *of = text(r, "of"), *by = text(r, "by");
    char prefix[13] = "";
    ctr_container *c;
    int32_t result;
    if (of) {
        ctr_container *other = slot(containers, of, 0)->handle;
        result = strcmp(by, "name") == 0 ? ctr_container_name(other, &reference, e)
                                         : ctr_container_id(other, &reference, e);
        if (result != 0)
            return result;
        if (strcmp(by, "prefix") == 0) {
            memcpy(prefix, reference, 12);
            reference = prefix;
        }
    }
    result = ctr_container_get(runtime, reference, &c, e);
    if (result == 0)
        keep_container(text(r, "as"), c);
    return result;
}

static int32_t list(const struct request *r, ctr_error **e)
{
    ctr_list_options o = {.size = sizeof o};
    ctr_container_rows *rows;
    int32_t result;
    size_t i;
    o.all = (int32_t)number(r, "all", 0);
    o.filters = texts(r, "filters");
    result = ctr_container_list(runtime, &o, &rows, e);
    for (i = 0; result == 0 && i < rows->count; i++) {
        answer_text("name", rows->items[i]->name);
        if (rows->items[i]->detached)
            answer_text("detached", rows->items[i]->id);
    }
    ctr_container_rows_free(rows);
    free((void *)o.filters);
    return result;
}

static int32_t logs_stream(const struct request *r, ctr_container *c, ctr_error **e)
{
    ctr_log_options o = log_options(r);
    ctr_log_stream *stream;
    int32_t result = ctr_container_logs_stream(c, &o, &stream, e);
    while (result == 0) {
        ctr_log_line *line;
        result = ctr_log_stream_next(stream, NULL, &line, e);
        if (!line)
            break;
        answer(line->stream == CTR_STDOUT ? "stdout" : "stderr", line->data, line->data_size);
        ctr_log_line_free(line);
    }
    ctr_log_stream_free(stream);
    return result;
}

static int32_t give_string(int32_t result, char *json)
{
    if (result == 0)
        answer_text("json", json);
    ctr_string_free(json);
    return result;
}

static int32_t container_verb(const struct request *r, ctr_error **e)
{
    const char *verb = text(r, "verb");
    struct slot *s = slot(containers, text(r, "on"), 0);
    ctr_container *c;
    int32_t result, value = 0;
    long long timeout = number(r, "timeout_ms", -1);
    ctr_stop_options stop = {.size = sizeof stop, .stop_signal = text(r, "stop_signal")};
    const char *word;
    char *json;
    if (!s)
        fail("no such container is kept");
    c = s->handle;
    stop.use_timeout = timeout >= 0;
    stop.timeout_ms = timeout;
    if (strcmp(verb, "start") == 0)
        return ctr_container_start(c, e);
    if (strcmp(verb, "stop") == 0)
        return text(r, "stop_signal") ? ctr_container_stop_with(c, &stop, e) : ctr_container_stop(c, timeout, e);
    if (strcmp(verb, "restart") == 0)
        return text(r, "stop_signal") ? ctr_container_restart_with(c, &stop, e) : ctr_container_restart(c, timeout, e);
    if (strcmp(verb, "pause") == 0)
        return ctr_container_pause(c, e);
    if (strcmp(verb, "unpause") == 0)
        return ctr_container_unpause(c, e);
    if (strcmp(verb, "kill") == 0)
        return ctr_container_kill(c, text(r, "signal"), e);
    if (strcmp(verb, "rename") == 0)
        return ctr_container_rename(c, text(r, "name"), e);
    if (strcmp(verb, "remove") == 0) {
        ctr_remove_options o = {.size = sizeof o};
        o.force = (int32_t)number(r, "force", 0);
        return ctr_container_remove(c, &o, e);
    }
    if (strcmp(verb, "drop") == 0) {
        ctr_container_free(c);
        s->handle = NULL;
        return 0;
    }
    if (strcmp(verb, "wait") == 0) {
        result = ctr_container_wait(c, timeout, NULL, &value, e);
        answer_number("number", value);
        return result;
    }
    if (strcmp(verb, "pid") == 0) {
        result = ctr_container_pid(c, &value, e);
        if (value != 0)
            answer_number("number", value);
        return result;
    }
    if (strcmp(verb, "status") == 0 || strcmp(verb, "name") == 0) {
        result = *verb == 's' ? ctr_container_status(c, &word, e) : ctr_container_name(c, &word, e);
        if (result == 0)
            answer_text("text", word);
        return result;
    }
    if (strcmp(verb, "inspect") == 0) {
        result = ctr_container_inspect(c, &json, e);
        return give_string(result, json);
    }
    if (strcmp(verb, "logs") == 0) {
        ctr_log_options o = log_options(r);
        ctr_bytes *bytes;
        result = ctr_container_logs(c, &o, &bytes, e);
        if (result == 0)
            answer("text", bytes->data, bytes->data_size);
        ctr_bytes_free(bytes);
        return result;
    }
    if (strcmp(verb, "logs_stream") == 0)
        return logs_stream(r, c, e);
    if (strcmp(verb, "exec") == 0 || strcmp(verb, "exec_run") == 0)
        return exec(r, c, e);
    if (strcmp(verb, "attach") == 0) {
        ctr_process *p;
        result = ctr_container_attach(c, &p, e);
        if (result == 0)
            keep_process(text(r, "as"), p);
        return result;
    }
    fail(verb);
    return 0;
}

static int32_t process_verb(const struct request *r, ctr_error **e)
{
    const char *verb = text(r, "verb");
    struct slot *s = slot(processes, text(r, "on"), 0);
    const struct field *data = find(r, "data");
    ctr_process *p;
    int32_t result, value = 0, ended = 0;
    if (!s)
        fail("no such process is kept");
    p = s->handle;
    if (strcmp(verb, "write") == 0)
        return ctr_process_write(p, data->data, data->size, NULL, e);
    if (strcmp(verb, "close_stdin") == 0)
        return ctr_process_close_stdin(p, e);
    if (strcmp(verb, "read") == 0) {
        char buffer[65536];
        size_t count = 0;
        int32_t stream = strcmp(text(r, "stream"), "stderr") == 0 ? CTR_STDERR : CTR_STDOUT;
        result = ctr_process_read(p, stream, buffer, sizeof buffer, NULL, &count, e);
        if (result == 0)
            answer("text", buffer, count);
        return result;
    }
    if (strcmp(verb, "communicate") == 0) {
        ctr_output *out;
        result = ctr_process_communicate(p, data ? data->data : NULL, data ? data->size : 0, NULL, &out, e);
        if (result == 0)
            answer_output(out);
        ctr_output_free(out);
        return result;
    }
    if (strcmp(verb, "process_wait") == 0) {
        result = ctr_process_wait(p, number(r, "timeout_ms", -1), NULL, &value, e);
        answer_number("number", value);
        return result;
    }
    if (strcmp(verb, "process_poll") == 0) {
        result = ctr_process_poll(p, &ended, &value, e);
        if (ended)
            answer_number("number", value);
        return result;
    }
    if (strcmp(verb, "process_kill") == 0)
        return ctr_process_kill(p, (int32_t)number(r, "signal", -1), e);
    if (strcmp(verb, "process_resize") == 0)
        return ctr_process_resize(p, (uint16_t)number(r, "rows", 0), (uint16_t)number(r, "cols", 0), e);
    fail(verb);
    return 0;
}

static int32_t image_list(ctr_error **e)
{
    ctr_image_rows *rows;
    int32_t result = ctr_image_list(runtime, &rows, e);
    size_t i, j;
    for (i = 0; result == 0 && i < rows->count; i++)
        for (j = 0; rows->items[i]->tags[j]; j++)
            answer_text("name", rows->items[i]->tags[j]);
    ctr_image_rows_free(rows);
    return result;
}

static int32_t image_verb(const struct request *r, ctr_error **e)
{
    const char *verb = text(r, "verb");
    ctr_image *image = NULL;
    char *json;
    int32_t result;
    if (strcmp(verb, "image_list") == 0)
        return image_list(e);
    if (strcmp(verb, "image_remove") == 0)
        return ctr_image_remove(runtime, text(r, "ref"), (int32_t)number(r, "force", 0), e);
    if (strcmp(verb, "image_pull") == 0) {
        ctr_pull_options o = {.size = sizeof o};
        o.policy = text(r, "policy");
        o.platform = text(r, "platform");
        o.insecure = (int32_t)number(r, "insecure", 0);
        result = ctr_image_pull(runtime, text(r, "ref"), &o, &image, e);
    } else if (strcmp(verb, "image_import") == 0) {
        ctr_import_options o = {.size = sizeof o};
        o.tag = text(r, "tag");
        o.changes = texts(r, "changes");
        o.message = text(r, "message");
        result = ctr_image_import(runtime, text(r, "path"), &o, &image, e);
        free((void *)o.changes);
    } else if (strcmp(verb, "image_load") == 0) {
        ctr_image_rows *rows;
        result = ctr_image_load(runtime, text(r, "path"), NULL, &rows, e);
        ctr_image_rows_free(rows);
    } else {
        result = ctr_image_get(runtime, text(r, "ref"), &image, e);
        if (result == 0 && strcmp(verb, "image_tag") == 0)
            result = ctr_image_tag(image, text(r, "tag"), e);
        if (result == 0 && strcmp(verb, "image_inspect") == 0) {
            result = ctr_image_inspect(image, &json, e);
            give_string(result, json);
        }
    }
    ctr_image_free(image);
    return result;
}

static int32_t perform(const struct request *r, ctr_error **e)
{
    static const char *const of_processes[] = {"write", "close_stdin", "read", "communicate", "process_wait",
                                               "process_poll", "process_kill", "process_resize"};
    const char *verb = text(r, "verb");
    char *json;
    int32_t result;
    size_t i;
    if (strcmp(verb, "open") == 0)
        return open_runtime(r, e);
    if (strcmp(verb, "drop_all") == 0) {
        drop_handles();
        return 0;
    }
    if (strcmp(verb, "close_runtime") == 0)
        return ctr_runtime_close(runtime, e);
    if (strcmp(verb, "info") == 0) {
        result = ctr_runtime_info(runtime, &json, e);
        return give_string(result, json);
    }
    if (strcmp(verb, "run") == 0)
        return run(r, e);
    if (strcmp(verb, "create") == 0)
        return create(r, e);
    if (strcmp(verb, "get") == 0)
        return get(r, e);
    if (strcmp(verb, "list") == 0)
        return list(r, e);
    if (strncmp(verb, "image_", 6) == 0)
        return image_verb(r, e);
    for (i = 0; i < COUNT(of_processes); i++)
        if (strcmp(verb, of_processes[i]) == 0)
            return process_verb(r, e);
    return container_verb(r, e);
}

static void answer_error(int32_t result, const ctr_error *e)
{
    const ctr_output *out = ctr_error_output(e);
    size_t i;
    if (result != -ctr_error_code(e) || strcmp(ctr_error_name(e), ctr_code_name(result)) != 0)
        fail("the number returned is not the error's");
    answer_text("error", ctr_error_name(e));
    answer_text("message", ctr_error_message(e));
    for (i = 0; ctr_error_context_key(e, i); i++) {
        answer_text("context", ctr_error_context_key(e, i));
        answer_text("context", ctr_error_context_value(e, i));
    }
    if (out) {
        answer("error.stdout", out->out, out->out_size);
        answer("error.stderr", out->err, out->err_size);
    }
}

int main(void)
{
    struct request r;
    while (read_request(&r)) {
        ctr_error *e = NULL;
        int32_t result = perform(&r, &e);
        if (result != 0)
            answer_error(result, e);
        ctr_error_free(e);
        answer("end", "", 0);
        fflush(stdout);
        free_request(&r);
    }
    free_request(&r);
    drop_handles();
    ctr_runtime_close(runtime, NULL);
    ctr_runtime_free(runtime);
    return 0;
}
