/* An image from a registry, with progress: pull REFERENCE [COMMAND ARGUMENT...] */
#include <containers.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int32_t result, ctr_error *error)
{
    if (result == 0)
        return;
    if (ctr_code_is(result, CTR_E_AUTH))
        fprintf(stderr, "log in first (docker login writes credentials that are read here)\n");
    fprintf(stderr, "%s: %s\n", ctr_code_name(result), ctr_error_message(error));
    exit(1);
}

static void progress(const ctr_pull_event *event, void *user_data)
{
    FILE *to = user_data;
    switch (event->kind) {
    case CTR_PULL_RESOLVED:
        fprintf(to, "%s: %" PRIu64 " layers, %" PRIu64 " bytes\n", event->digest, event->layers, event->total);
        break;
    case CTR_PULL_EXISTS:
        fprintf(to, "%.19s: here already\n", event->layer);
        break;
    case CTR_PULL_DONE:
        fprintf(to, "%.19s: done\n", event->layer);
        break;
    default: /* kinds that come later, and CTR_PULL_DOWNLOADING, which is frequent */
        break;
    }
}

int main(int argc, char **argv)
{
    ctr_pull_options options = {.size = sizeof options, .progress = progress, .user_data = stderr};
    ctr_runtime *runtime;
    ctr_image *image;
    ctr_output *output;
    ctr_error *error;
    const char *id;
    char *tags;

    if (argc < 2) {
        fprintf(stderr, "usage: %s REFERENCE [COMMAND ARGUMENT...]\n", argv[0]);
        return 2;
    }
    check(ctr_runtime_open(NULL, &runtime, &error), error);
    check(ctr_image_pull(runtime, argv[1], &options, &image, &error), error);
    check(ctr_image_id(image, &id, &error), error);
    check(ctr_image_tags(image, &tags, &error), error);
    printf("%s %s\n", id, tags);
    ctr_string_free(tags);

    if (argc > 2) {
        check(ctr_container_run(runtime, id, (const char *const *)argv + 2, NULL, &output, &error), error);
        fwrite(output->out, 1, output->out_size, stdout);
        fwrite(output->err, 1, output->err_size, stderr);
        ctr_output_free(output);
    }
    ctr_image_free(image);
    ctr_runtime_close(runtime, NULL);
    ctr_runtime_free(runtime);
    return 0;
}
