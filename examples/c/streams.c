/* Talks to a process in a container through its descriptors. */
#include <containers.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(int32_t result, ctr_error *error)
{
    if (result == 0)
        return;
    fprintf(stderr, "%s: %s\n", ctr_code_name(result), ctr_error_message(error));
    exit(1);
}

int main(void)
{
    const char *const sleeper[] = {"sleep", "60", NULL};
    const char *const sorter[] = {"sh", "-c", "echo reading >&2; sort; echo done >&2", NULL};
    ctr_exec_options options = {.size = sizeof options, .stdin_open = 1};
    ctr_runtime *runtime;
    ctr_container *container;
    ctr_process *process;
    ctr_error *error;
    struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
    int32_t exit_code;
    int open = 2;

    check(ctr_runtime_open(NULL, &runtime, &error), error);
    check(ctr_container_create(runtime, "host", sleeper, NULL, &container, &error), error);
    check(ctr_container_start(container, &error), error);
    check(ctr_container_exec(container, sorter, &options, &process, &error), error);
    check(ctr_process_write(process, "pear\napple\nfig\n", 15, NULL, &error), error);
    check(ctr_process_close_stdin(process, &error), error);

    check(ctr_process_fds(process, NULL, &fds[0].fd, &fds[1].fd, &error), error);
    while (open > 0 && poll(fds, 2, -1) > 0) {
        int i;
        for (i = 0; i < 2; i++) {
            char buffer[4096];
            ssize_t n;
            if (fds[i].fd < 0 || !fds[i].revents)
                continue;
            n = read(fds[i].fd, buffer, sizeof buffer);
            if (n > 0) {
                printf("%s: %.*s", i == 0 ? "out" : "err", (int)n, buffer);
            } else if (n == 0 || errno != EAGAIN) {
                fds[i].fd = -1; /* poll(2) leaves it out; the handle closes the descriptor. */
                open--;
            }
        }
    }
    check(ctr_process_wait(process, -1, NULL, &exit_code, &error), error);
    printf("exit code %d\n", (int)exit_code);

    ctr_process_free(process);
    ctr_container_free(container); /* attached: it ends here */
    ctr_runtime_close(runtime, NULL);
    ctr_runtime_free(runtime);
    return 0;
}
