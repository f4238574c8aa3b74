/* A command in a throw-away container: run [COMMAND ARGUMENT...] */
#include <containers.h>
#include <stdio.h>

static int fail(ctr_error *error)
{
    fprintf(stderr, "%s: %s\n", ctr_error_name(error), ctr_error_message(error));
    ctr_error_free(error);
    return 125;
}

int main(int argc, char **argv)
{
    const char *const hello[] = {"sh", "-c", "echo hello from $(uname -n), user $(id -un)", NULL};
    const char *const *command = argc > 1 ? (const char *const *)argv + 1 : hello;
    ctr_create_options create = {.size = sizeof create, .hostname = "box", .mem_limit = 256 << 20};
    ctr_run_options options = {.size = sizeof options, .create = &create, .timeout_ms = 10000};
    ctr_runtime *runtime;
    ctr_output *output;
    ctr_error *error;
    int exit_code;

    if (ctr_runtime_open(NULL, &runtime, &error) != 0)
        return fail(error);

    /* "host" is this machine's own system, read-only below a throw-away layer. */
    if (ctr_container_run(runtime, "host", command, &options, &output, &error) != 0) {
        ctr_runtime_free(runtime);
        return fail(error);
    }
    fwrite(output->out, 1, output->out_size, stdout);
    fwrite(output->err, 1, output->err_size, stderr);
    exit_code = output->exit_code;
    ctr_output_free(output);

    ctr_runtime_close(runtime, NULL);
    ctr_runtime_free(runtime);
    return exit_code;
}
