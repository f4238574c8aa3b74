/*
 * The rules of the C interface, as a program: exit code 0 when they hold. With the argument `arguments` only those
 * that need no container.
 */
#define _GNU_SOURCE
#include <containers.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;

static void check(int holds, const char *what, int line, const ctr_error *e)
{
    if (!holds) {
        failures++;
        fprintf(stderr, "interface.c:%d: %s%s%s\n", line, what, e ? ": " : "", e ? ctr_error_message(e) : "");
    }
}
#define CHECK(holds) check((holds) != 0, #holds, __LINE__, NULL)
#define OK(call) check((call) == 0, #call, __LINE__, e)

/* The error is invalid_argument and names the argument; it is freed. */
static void invalid(int32_t result, ctr_error *e, const char *field, int line)
{
    const char *named = ctr_error_context(e, "field");
    check(result == -CTR_E_INVALID_ARGUMENT, "the result is not invalid_argument", line, e);
    check(ctr_error_code(e) == CTR_E_INVALID_ARGUMENT, "the error is not invalid_argument", line, e);
    check(named && strcmp(named, field) == 0, field, line, e);
    ctr_error_free(e);
}
#define INVALID(call, field)                    \
    do {                                        \
        ctr_error *e = NULL;                    \
        int32_t result_ = (call);               \
        invalid(result_, e, field, __LINE__);   \
    } while (0)

static void test_codes(void)
{
    CHECK(strcmp(ctr_code_name(-CTR_E_IMAGE_NOT_FOUND), "image_not_found") == 0);
    CHECK(strcmp(ctr_code_name(CTR_E_EXEC_TIMEOUT), "exec_timeout") == 0);
    CHECK(strcmp(ctr_code_name(0), "ok") == 0);
    CHECK(strcmp(ctr_code_name(12345), "unknown") == 0);
    CHECK(ctr_code_is(-CTR_E_IMAGE_NOT_FOUND, CTR_E_NOT_FOUND) == 1);
    CHECK(ctr_code_is(-CTR_E_IMAGE_NOT_FOUND, CTR_E_IMAGE_NOT_FOUND) == 1);
    CHECK(ctr_code_is(-CTR_E_NOT_FOUND, CTR_E_IMAGE_NOT_FOUND) == 0);
    CHECK(ctr_code_is(INT32_MIN, CTR_E_NOT_FOUND) == 0);
    CHECK(strcmp(ctr_version(), CTR_VERSION) == 0);
}

static void test_null_is_fine_where_it_says_so(void)
{
    ctr_error_free(NULL);
    ctr_runtime_free(NULL);
    ctr_image_free(NULL);
    ctr_container_free(NULL);
    ctr_process_free(NULL);
    ctr_cancel_free(NULL);
    ctr_output_free(NULL);
    ctr_bytes_free(NULL);
    ctr_string_free(NULL);
    ctr_image_rows_free(NULL);
    ctr_container_rows_free(NULL);
    ctr_log_stream_free(NULL);
    ctr_log_line_free(NULL);
    CHECK(ctr_error_code(NULL) == CTR_OK);
    CHECK(ctr_error_message(NULL) == NULL);
    CHECK(ctr_error_name(NULL) == NULL);
    CHECK(ctr_error_operation(NULL) == NULL);
    CHECK(ctr_error_context(NULL, "field") == NULL);
    CHECK(ctr_error_context_key(NULL, 0) == NULL);
    CHECK(ctr_error_output(NULL) == NULL);
    /* Without room for the error the number is still there. */
    CHECK(ctr_runtime_close(NULL, NULL) == -CTR_E_INVALID_ARGUMENT);
}

static void test_null_handles(void)
{
    ctr_container *c = (ctr_container *)1;
    ctr_process *p;
    ctr_image *image;
    ctr_output *out;
    ctr_bytes *bytes;
    ctr_container_rows *rows;
    ctr_image_rows *images;
    ctr_log_stream *stream;
    ctr_log_line *line;
    const char *text;
    char *json;
    int32_t number;
    size_t size;
    uint64_t big;
    char buffer[8];
    const char *const command[] = {"true", NULL};

    INVALID(ctr_runtime_open(NULL, NULL, &e), "runtime");
    INVALID(ctr_runtime_info(NULL, &json, &e), "runtime");
    CHECK(json == NULL);
    INVALID(ctr_runtime_close(NULL, &e), "runtime");
    INVALID(ctr_container_create(NULL, "host", command, NULL, &c, &e), "runtime");
    CHECK(c == NULL);
    INVALID(ctr_container_create(NULL, "host", command, NULL, NULL, &e), "container");
    INVALID(ctr_container_run(NULL, "host", command, NULL, &out, &e), "runtime");
    INVALID(ctr_container_run_detached(NULL, "host", command, NULL, &c, &e), "runtime");
    INVALID(ctr_container_get(NULL, "x", &c, &e), "runtime");
    INVALID(ctr_container_list(NULL, NULL, &rows, &e), "runtime");
    INVALID(ctr_container_id(NULL, &text, &e), "container");
    INVALID(ctr_container_name(NULL, &text, &e), "container");
    INVALID(ctr_container_status(NULL, &text, &e), "container");
    INVALID(ctr_container_pid(NULL, &number, &e), "container");
    INVALID(ctr_container_inspect(NULL, &json, &e), "container");
    INVALID(ctr_container_start(NULL, &e), "container");
    INVALID(ctr_container_stop(NULL, -1, &e), "container");
    INVALID(ctr_container_stop(NULL, -2, &e), "timeout_ms");
    INVALID(ctr_container_kill(NULL, "TERM", &e), "container");
    INVALID(ctr_container_restart(NULL, -1, &e), "container");
    INVALID(ctr_container_pause(NULL, &e), "container");
    INVALID(ctr_container_unpause(NULL, &e), "container");
    INVALID(ctr_container_wait(NULL, -1, NULL, &number, &e), "container");
    INVALID(ctr_container_wait(NULL, -1, NULL, NULL, &e), "exit_code");
    INVALID(ctr_container_exit_fd(NULL, &number, &e), "container");
    INVALID(ctr_container_exec(NULL, command, NULL, &p, &e), "container");
    INVALID(ctr_container_exec_run(NULL, command, NULL, 0, NULL, &out, &e), "container");
    INVALID(ctr_container_attach(NULL, &p, &e), "container");
    INVALID(ctr_container_logs(NULL, NULL, &bytes, &e), "container");
    INVALID(ctr_container_logs_stream(NULL, NULL, &stream, &e), "container");
    INVALID(ctr_container_resize(NULL, 1, 1, &e), "container");
    INVALID(ctr_container_rename(NULL, "x", &e), "container");
    INVALID(ctr_container_remove(NULL, NULL, &e), "container");
    INVALID(ctr_log_stream_next(NULL, NULL, &line, &e), "stream");
    INVALID(ctr_process_fds(NULL, NULL, NULL, NULL, &e), "process");
    INVALID(ctr_process_write(NULL, "x", 1, NULL, &e), "process");
    INVALID(ctr_process_close_stdin(NULL, &e), "process");
    INVALID(ctr_process_read(NULL, CTR_STDOUT, buffer, sizeof buffer, NULL, &size, &e), "process");
    INVALID(ctr_process_next(NULL, NULL, &number, &bytes, &e), "process");
    INVALID(ctr_process_communicate(NULL, NULL, 0, NULL, &out, &e), "process");
    INVALID(ctr_process_wait(NULL, -1, NULL, &number, &e), "process");
    INVALID(ctr_process_poll(NULL, &number, &number, &e), "process");
    INVALID(ctr_process_kill(NULL, 15, &e), "process");
    INVALID(ctr_process_resize(NULL, 1, 1, &e), "process");
    INVALID(ctr_image_pull(NULL, "x", NULL, &image, &e), "runtime");
    INVALID(ctr_image_load(NULL, "x", NULL, &images, &e), "runtime");
    INVALID(ctr_image_import(NULL, "x", NULL, &image, &e), "runtime");
    INVALID(ctr_image_get(NULL, "x", &image, &e), "runtime");
    INVALID(ctr_image_list(NULL, &images, &e), "runtime");
    INVALID(ctr_image_remove(NULL, "x", 0, &e), "runtime");
    INVALID(ctr_image_tag(NULL, "x", &e), "image");
    INVALID(ctr_image_id(NULL, &text, &e), "image");
    INVALID(ctr_image_digest(NULL, &text, &e), "image");
    INVALID(ctr_image_size(NULL, &big, &e), "image");
    INVALID(ctr_image_tags(NULL, &json, &e), "image");
    INVALID(ctr_image_config(NULL, &json, &e), "image");
    INVALID(ctr_image_inspect(NULL, &json, &e), "image");
    INVALID(ctr_image_history(NULL, &json, &e), "image");
    INVALID(ctr_cancel_new(NULL, &e), "cancel");
    INVALID(ctr_cancel_trigger(NULL, &e), "cancel");
}

static void test_runtime_options(void)
{
    ctr_runtime *rt;
    ctr_runtime_options o = {.size = sizeof o};
    o.root = "not \xff utf-8";
    INVALID(ctr_runtime_open(&o, &rt, &e), "root");
    CHECK(rt == NULL);
    o.root = NULL;
    o.rootless = 7;
    INVALID(ctr_runtime_open(&o, &rt, &e), "rootless");
    o.rootless = 0;
    o.size = 0;
    INVALID(ctr_runtime_open(&o, &rt, &e), "options");
    o.size = (size_t)-1;
    INVALID(ctr_runtime_open(&o, &rt, &e), "options");
}

/* ---- with containers ---- */

static ctr_runtime *rt;
static const char *root;

static ctr_runtime *open_root(void)
{
    ctr_error *e;
    ctr_runtime *opened;
    ctr_runtime_options o = {.size = sizeof o, .root = root};
    OK(ctr_runtime_open(&o, &opened, &e));
    ctr_error_free(e);
    return opened;
}

static void test_run(void)
{
    const char *const command[] = {"sh", "-c", "cat; echo $A; echo err >&2; exit 3", NULL};
    const char *const environment[] = {"A=b c", NULL};
    ctr_create_options create = {.size = sizeof create, .environment = environment};
    ctr_run_options o = {.size = sizeof o, .create = &create, .input = "in\n", .input_size = 3};
    ctr_output *out;
    ctr_error *e = (ctr_error *)1;
    OK(ctr_container_run(rt, "host", command, &o, &out, &e));
    CHECK(e == NULL);
    CHECK(out && out->exit_code == 3 && out->signal == 0 && out->oom_killed == 0);
    CHECK(out && out->out_size == 7 && strcmp(out->out, "in\nb c\n") == 0);
    CHECK(out && out->err_size == 4 && strcmp(out->err, "err\n") == 0);
    CHECK(out && strcmp(out->args[0], "sh") == 0 && out->args[3] == NULL);
    ctr_output_free(out);

    o.check = 1;
    CHECK(ctr_container_run(rt, "host", command, &o, &out, &e) == -CTR_E_EXIT_ERROR);
    CHECK(out == NULL);
    CHECK(ctr_error_output(e) && strcmp(ctr_error_output(e)->out, "in\nb c\n") == 0);
    CHECK(strcmp(ctr_error_operation(e), "container.run") == 0);
    ctr_error_free(e);
}

static void test_sized_structs(void)
{
    const char *const command[] = {"pwd", NULL};
    struct {
        ctr_run_options known;
        char unknown[64];
    } longer;
    ctr_output *out;
    ctr_error *e;
    ctr_run_options shorter = {.size = sizeof(size_t)};
    memset(&longer, 0, sizeof longer);
    longer.known.size = sizeof longer;
    OK(ctr_container_run(rt, "host", command, &longer.known, &out, &e));
    ctr_output_free(out);
    longer.unknown[63] = 1;
    INVALID(ctr_container_run(rt, "host", command, &longer.known, &out, &e), "options");
    /* Of a shorter struct nothing behind its size is read. */
    shorter.timeout_ms = -7;
    shorter.check = 1;
    OK(ctr_container_run(rt, "host", command, &shorter, &out, &e));
    ctr_output_free(out);
    INVALID(ctr_container_run(rt, NULL, command, NULL, &out, &e), "image");
    INVALID(ctr_container_run(rt, "\xc3", command, NULL, &out, &e), "image");
}

static void test_bad_options(void)
{
    const char *const command[] = {"true", NULL}, *const bad[] = {"nofile=many", NULL}, *const plain[] = {"A", NULL};
    const char *const not_text[] = {"\xff", NULL};
    ctr_mount mount = {.size = 3};
    const ctr_mount *const mounts[] = {&mount, NULL};
    ctr_create_options o = {.size = sizeof o, .ulimits = bad};
    ctr_container *c;
    INVALID(ctr_container_create(rt, "host", command, &o, &c, &e), "ulimits");
    o = (ctr_create_options){.size = sizeof o, .environment = plain};
    INVALID(ctr_container_create(rt, "host", command, &o, &c, &e), "environment");
    o = (ctr_create_options){.size = sizeof o, .cap_add = not_text};
    INVALID(ctr_container_create(rt, "host", command, &o, &c, &e), "cap_add");
    o = (ctr_create_options){.size = sizeof o, .mem_limit = 5, .mem_limit_text = "5"};
    INVALID(ctr_container_create(rt, "host", command, &o, &c, &e), "mem_limit");
    o = (ctr_create_options){.size = sizeof o, .mounts = mounts};
    INVALID(ctr_container_create(rt, "host", command, &o, &c, &e), "mounts");
    o = (ctr_create_options){.size = sizeof o, .stop_timeout_ms = -5};
    INVALID(ctr_container_create(rt, "host", command, &o, &c, &e), "stop_timeout");
    INVALID(ctr_container_create(rt, "host", not_text, NULL, &c, &e), "command");
}

static void *trigger_soon(void *cancel)
{
    usleep(300000);
    ctr_cancel_trigger(cancel, NULL);
    return NULL;
}

static void test_cancel(void)
{
    const char *const command[] = {"sleep", "60", NULL};
    ctr_run_options o = {.size = sizeof o};
    ctr_cancel *cancel;
    ctr_container *c;
    ctr_output *out;
    ctr_error *e;
    pthread_t thread;
    int32_t code;
    OK(ctr_cancel_new(&cancel, &e));
    o.cancel = cancel;
    pthread_create(&thread, NULL, trigger_soon, cancel);
    CHECK(ctr_container_run(rt, "host", command, &o, &out, &e) == -CTR_E_CANCELLED);
    CHECK(strcmp(ctr_error_name(e), "cancelled") == 0);
    ctr_error_free(e);
    pthread_join(thread, NULL);
    /* Once triggered it stays so. */
    OK(ctr_container_create(rt, "host", command, NULL, &c, &e));
    OK(ctr_container_start(c, &e));
    CHECK(ctr_container_wait(c, -1, cancel, &code, NULL) == -CTR_E_CANCELLED);
    CHECK(ctr_container_wait(c, 50, NULL, &code, NULL) == -CTR_E_EXEC_TIMEOUT);
    ctr_container_free(c);
    ctr_cancel_free(cancel);
}

static void test_descriptors(void)
{
    const char *const sleeper[] = {"sleep", "60", NULL}, *const cat[] = {"cat", NULL};
    ctr_exec_options o = {.size = sizeof o, .stdin_open = 1};
    ctr_container *c;
    ctr_process *p;
    ctr_error *e;
    struct pollfd polled = {.events = POLLIN};
    int32_t in, out, err, exit_fd, code, ended;
    char buffer[16];
    const char *status;
    OK(ctr_container_create(rt, "host", sleeper, NULL, &c, &e));
    OK(ctr_container_start(c, &e));
    OK(ctr_container_exit_fd(c, &exit_fd, &e));
    polled.fd = exit_fd;
    CHECK(poll(&polled, 1, 0) == 0);

    OK(ctr_container_exec(c, cat, &o, &p, &e));
    OK(ctr_process_fds(p, &in, &out, &err, &e));
    CHECK(in >= 0 && out >= 0 && err >= 0);
    CHECK(read(out, buffer, sizeof buffer) == -1 && errno == EAGAIN);
    CHECK(write(in, "hello", 5) == 5);
    polled.fd = out;
    CHECK(poll(&polled, 1, 20000) == 1);
    CHECK(read(out, buffer, sizeof buffer) == 5 && memcmp(buffer, "hello", 5) == 0);
    OK(ctr_process_close_stdin(p, &e));
    OK(ctr_process_fds(p, &in, NULL, NULL, &e));
    CHECK(in == -1);
    OK(ctr_process_wait(p, 20000, NULL, &code, &e));
    CHECK(code == 0);
    OK(ctr_process_poll(p, &ended, &code, &e));
    CHECK(ended == 1 && code == 0);
    ctr_process_free(p);

    OK(ctr_container_kill(c, "KILL", &e));
    OK(ctr_container_wait(c, -1, NULL, &code, &e));
    polled.fd = exit_fd;
    CHECK(poll(&polled, 1, 0) == 1 && (polled.revents & POLLIN));
    CHECK(code == 137);
    OK(ctr_container_status(c, &status, &e));
    CHECK(strcmp(status, "exited") == 0);
    close(exit_fd);
    ctr_container_free(c);
}

static void test_lists(void)
{
    const char *const command[] = {"sleep", "60", NULL}, *const labels[] = {"k=v", NULL};
    const char *const volumes[] = {"/usr:/data:ro", NULL};
    ctr_create_options o = {.size = sizeof o, .name = "listed", .labels = labels, .volumes = volumes};
    ctr_list_options all = {.size = sizeof all, .all = 1};
    ctr_container_rows *rows;
    ctr_image_rows *images;
    ctr_container *c, *same;
    ctr_error *e;
    const char *id, *name, *again;
    char *json;
    OK(ctr_container_create(rt, "host", command, &o, &c, &e));
    OK(ctr_container_list(rt, NULL, &rows, &e));
    CHECK(rows && rows->count == 0 && rows->items[0] == NULL);
    ctr_container_rows_free(rows);
    OK(ctr_container_list(rt, &all, &rows, &e));
    CHECK(rows && rows->count == 1 && rows->items[1] == NULL);
    OK(ctr_container_id(c, &id, &e));
    CHECK(strlen(id) == 64);
    if (rows && rows->count == 1) {
        const ctr_container_summary *row = rows->items[0];
        CHECK(strcmp(row->id, id) == 0 && strcmp(row->name, "listed") == 0);
        CHECK(strcmp(row->status, "created") == 0 && row->exit_code == -1 && row->detached == 0);
        CHECK(strcmp(row->command[0], "sleep") == 0 && row->command[2] == NULL);
        CHECK(strcmp(row->labels[0], "k=v") == 0 && row->labels[1] == NULL);
        CHECK(row->created_ns > 0 && row->started_ns == 0);
        CHECK(strcmp(row->networks[0], "none") == 0 && row->networks[1] == NULL && row->health[0] == '\0');
        CHECK(row->mounts[0] != NULL && row->mounts[1] == NULL);
        CHECK(strcmp(row->mounts[0]->kind, "bind") == 0 && strcmp(row->mounts[0]->source, "/usr") == 0);
        CHECK(strcmp(row->mounts[0]->target, "/data") == 0 && row->mounts[0]->read_only == 1);
    }
    ctr_container_rows_free(rows);
    OK(ctr_container_get(rt, "listed", &same, &e));
    OK(ctr_container_name(same, &name, &e));
    OK(ctr_container_name(same, &again, &e));
    CHECK(strcmp(name, "listed") == 0 && name == again);
    OK(ctr_container_inspect(same, &json, &e));
    CHECK(strstr(json, "\"State\"") != NULL);
    ctr_string_free(json);
    ctr_container_free(same);
    ctr_container_free(c);
    OK(ctr_image_list(rt, &images, &e));
    ctr_image_rows_free(images);
    OK(ctr_runtime_info(rt, &json, &e));
    CHECK(strstr(json, "\"version\"") != NULL);
    ctr_string_free(json);
}

static void test_detached(void)
{
    const char *const command[] = {"sh", "-c", "echo up; sleep 60", NULL};
    const char *const missing[] = {"no-such-command", NULL};
    ctr_create_options o = {.size = sizeof o, .name = "detached"};
    ctr_remove_options force = {.size = sizeof force, .force = 1};
    ctr_list_options all = {.size = sizeof all, .all = 1};
    ctr_container_rows *rows;
    ctr_container *c;
    ctr_error *e;
    const char *status;
    CHECK(ctr_container_run_detached(rt, "host", missing, &o, &c, NULL) == -CTR_E_COMMAND_NOT_FOUND);
    OK(ctr_container_list(rt, &all, &rows, &e));
    CHECK(rows && rows->count == 0);
    ctr_container_rows_free(rows);
    OK(ctr_container_run_detached(rt, "host", command, &o, &c, &e));
    ctr_container_free(c);
    /* The handle is gone, and so is the runtime: the container is not. */
    OK(ctr_runtime_close(rt, &e));
    ctr_runtime_free(rt);
    rt = open_root();
    OK(ctr_container_get(rt, "detached", &c, &e));
    OK(ctr_container_status(c, &status, &e));
    CHECK(strcmp(status, "running") == 0);
    CHECK(ctr_container_remove(c, NULL, NULL) == -CTR_E_IN_USE);
    OK(ctr_container_remove(c, &force, &e));
    ctr_container_free(c);
}

/* Without a free descriptor some of these calls panic inside: that is an error, and all works again afterwards. */
static void test_no_descriptors(void)
{
    const char *const command[] = {"true", NULL};
    struct rlimit before, none;
    ctr_container *c;
    ctr_output *out;
    ctr_image *image;
    ctr_error *e;
    char *json;
    int32_t results[3];
    size_t i;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    results[0] = ctr_container_run(rt, "host", command, NULL, &out, &e);
    CHECK(out == NULL && e != NULL && strlen(ctr_error_message(e)) > 0);
    ctr_error_free(e);
    results[1] = ctr_container_create(rt, "host", command, NULL, &c, NULL);
    results[2] = ctr_image_pull(rt, "localhost:1/x", NULL, &image, NULL);
    setrlimit(RLIMIT_NOFILE, &before);
    if (results[1] == 0)
        ctr_container_free(c);
    for (i = 0; i < 3; i++)
        CHECK(results[i] == -CTR_E_INTERNAL || results[i] == -CTR_E_IO || results[i] == -CTR_E_LIMIT_EXCEEDED);
    OK(ctr_container_run(rt, "host", command, NULL, &out, &e));
    ctr_output_free(out);
    OK(ctr_runtime_info(rt, &json, &e));
    ctr_string_free(json);
}

static void *run_many(void *unused)
{
    const char *const command[] = {"echo", "x", NULL};
    int i;
    (void)unused;
    for (i = 0; i < 5; i++) {
        ctr_output *out;
        ctr_error *e;
        OK(ctr_container_run(rt, "host", command, NULL, &out, &e));
        CHECK(out && strcmp(out->out, "x\n") == 0);
        ctr_output_free(out);
        ctr_error_free(e);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[4];
    size_t i;
    for (i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_many, NULL);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void test_fork(void)
{
    const char *const command[] = {"sleep", "60", NULL}, *const quick[] = {"echo", "child", NULL};
    ctr_container *c;
    ctr_error *e;
    const char *status;
    int state = 0;
    pid_t child;
    OK(ctr_container_create(rt, "host", command, NULL, &c, &e));
    OK(ctr_container_start(c, &e));
    child = fork();
    if (child == 0) {
        ctr_runtime *own;
        ctr_output *out;
        int32_t code;
        failures = 0;
        CHECK(ctr_container_status(c, &status, NULL) == -CTR_E_HANDLE_CLOSED);
        CHECK(ctr_container_kill(c, "KILL", NULL) == -CTR_E_HANDLE_CLOSED);
        CHECK(ctr_container_wait(c, -1, NULL, &code, NULL) == -CTR_E_HANDLE_CLOSED);
        CHECK(ctr_container_run(rt, "host", quick, NULL, &out, NULL) == -CTR_E_HANDLE_CLOSED);
        ctr_container_free(c);
        ctr_runtime_free(rt);
        own = open_root();
        OK(ctr_container_run(own, "host", quick, NULL, &out, &e));
        CHECK(out && strcmp(out->out, "child\n") == 0);
        ctr_output_free(out);
        OK(ctr_runtime_close(own, &e));
        ctr_runtime_free(own);
        _exit(failures ? 1 : 0);
    }
    CHECK(waitpid(child, &state, 0) == child && WIFEXITED(state) && WEXITSTATUS(state) == 0);
    OK(ctr_container_status(c, &status, &e));
    CHECK(strcmp(status, "running") == 0);
    ctr_container_free(c);
}

/* A registry that wants bob with the password s3cret. */
static void test_credentials(const char *reference)
{
    ctr_pull_options none = {.size = sizeof none};
    ctr_pull_options wrong = {.size = sizeof wrong, .username = "bob", .password = "wrong"};
    ctr_pull_options right = {.size = sizeof right, .username = "bob", .password = "s3cret"};
    const ctr_pull_options *refused[] = {NULL, &none, &wrong};
    ctr_image *image;
    ctr_error *e;
    size_t i;
    for (i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(ctr_image_pull(rt, reference, refused[i], &image, &e) == -CTR_E_AUTH);
        CHECK(image == NULL && e && strstr(ctr_error_message(e), reference) != NULL);
        ctr_error_free(e);
    }
    OK(ctr_image_pull(rt, reference, &right, &image, &e));
    ctr_image_free(image);
}

static void test_close(void)
{
    const char *const command[] = {"sleep", "60", NULL};
    ctr_container *c;
    ctr_error *e;
    ctr_output *out;
    const char *status, *id;
    OK(ctr_container_create(rt, "host", command, NULL, &c, &e));
    OK(ctr_container_start(c, &e));
    OK(ctr_runtime_close(rt, &e));
    OK(ctr_runtime_close(rt, &e));
    CHECK(ctr_container_status(c, &status, NULL) == -CTR_E_HANDLE_CLOSED);
    CHECK(ctr_container_run(rt, "host", command, NULL, &out, NULL) == -CTR_E_HANDLE_CLOSED);
    OK(ctr_container_id(c, &id, &e));
    ctr_container_free(c);
    ctr_runtime_free(rt);
}

int main(int argc, char **argv)
{
    test_codes();
    test_null_is_fine_where_it_says_so();
    test_null_handles();
    test_runtime_options();
    if (argc > 1 && strcmp(argv[1], "arguments") != 0) {
        root = argv[1];
        rt = open_root();
        if (rt) {
            test_run();
            test_sized_structs();
            test_bad_options();
            test_cancel();
            test_descriptors();
            test_lists();
            test_detached();
            test_no_descriptors();
            test_threads();
            test_fork();
            if (argc > 2)
                test_credentials(argv[2]);
            test_close();
        }
    }
    if (failures)
        fprintf(stderr, "%d checks failed\n", failures);
    return failures ? 1 : 0;
}
