/* The life of a container: create, start, exec, logs, stop, remove. */
#include <containers.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Ends the program when a call failed. What is attached goes with it: nothing stays behind. */
static void check(int32_t result, ctr_error *error)
{
    if (result == 0)
        return;
    fprintf(stderr, "%s: %s\n", ctr_code_name(result), ctr_error_message(error));
    exit(1);
}

int main(void)
{
    const char *const command[] = {"sh", "-c", "echo started; trap 'echo stopping; exit 0' TERM; "
                                               "while :; do sleep 0.1; done", NULL};
    const char *const id[] = {"sh", "-c", "echo inside as $(id -un); ls /proc | grep -c '^[0-9]'", NULL};
    const char *const labels[] = {"purpose=example", NULL};
    ctr_create_options options = {.size = sizeof options, .name = "example-lifecycle", .labels = labels,
                                  .network = "none", .pids_limit = 64};
    ctr_runtime *runtime;
    ctr_container *container;
    ctr_output *output;
    ctr_bytes *log;
    ctr_error *error;
    struct pollfd ended = {.events = POLLIN};
    const char *text;
    int32_t exit_code;

    check(ctr_runtime_open(NULL, &runtime, &error), error);
    check(ctr_container_create(runtime, "host", command, &options, &container, &error), error);
    check(ctr_container_start(container, &error), error);
    check(ctr_container_status(container, &text, &error), error);
    printf("status: %s\n", text);

    check(ctr_container_exec_run(container, id, NULL, 1, NULL, &output, &error), error);
    printf("%s", output->out);
    ctr_output_free(output);

    /* An event loop polls this descriptor; here it says that the container still runs. */
    check(ctr_container_exit_fd(container, &ended.fd, &error), error);
    printf("ended: %s\n", poll(&ended, 1, 0) == 1 ? "yes" : "no");

    check(ctr_container_stop(container, 5000, &error), error);
    check(ctr_container_wait(container, -1, NULL, &exit_code, &error), error);
    printf("ended: %s, exit code %d\n", poll(&ended, 1, 0) == 1 ? "yes" : "no", (int)exit_code);
    close(ended.fd);

    check(ctr_container_logs(container, NULL, &log, &error), error);
    printf("%s", log->data);
    ctr_bytes_free(log);

    check(ctr_container_remove(container, NULL, &error), error);
    ctr_container_free(container);
    check(ctr_runtime_close(runtime, &error), error);
    ctr_runtime_free(runtime);
    return 0;
}
