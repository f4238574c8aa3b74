/* Measures `run` through the C interface: one JSON line with a sample, in microseconds, for each run. */
#include "../common/bench.h"

#include <containers.h>
#include <dirent.h>

enum { WARM = 20 };

static int fail(int32_t code, ctr_error *error)
{
    fprintf(stderr, "%d: %s\n", code, ctr_error_message(error));
    ctr_error_free(error);
    return 1;
}

/* Resident memory in KiB, and how many descriptors are open. */
static void own_state(long *rss, long *fds)
{
    char line[200];
    FILE *f = fopen("/proc/self/status", "re");
    *rss = *fds = 0;
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "VmRSS: %ld", rss);
    if (f)
        fclose(f);
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *e; dir && (e = readdir(dir));)
        *fds += *e->d_name != '.';
    if (dir)
        closedir(dir);
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return fprintf(stderr, "usage: %s ROOT IMAGE COMMAND RUNS RESIDENT_MB\n", argv[0]), 2;
    const char *image = argv[2], *const command[] = {argv[3], NULL};
    int runs = atoi(argv[4]);
    size_t resident = (size_t)atoi(argv[5]) << 20;
    char *ballast = resident ? malloc(resident) : NULL;
    for (size_t i = 0; ballast && i < resident; i += 4096)
        ballast[i] = 1;

    ctr_error *error = NULL;
    ctr_runtime *rt = NULL;
    ctr_runtime_options open = {.size = sizeof open};
    open.root = argv[1];
    int32_t code = ctr_runtime_open(&open, &rt, &error);
    if (code)
        return fail(code, error);
    ctr_create_options create = {.size = sizeof create};
    create.mem_limit = 256 << 20;
    ctr_run_options options = {.size = sizeof options};
    options.create = &create;
    options.check = 1;

    double *us = malloc(sizeof *us * (size_t)(runs + 1));
    long rss[2], fds[2];
    for (int i = -WARM; i < runs; i++) {
        if (i == 0)
            own_state(&rss[0], &fds[0]);
        ctr_output *output = NULL;
        double start = now_us();
        code = ctr_container_run(rt, image, command, &options, &output, &error);
        if (code)
            return fail(code, error);
        ctr_output_free(output);
        if (i >= 0)
            us[i] = now_us() - start;
    }
    own_state(&rss[1], &fds[1]);
    printf("{\"name\":\"c\",\"unit\":\"us\",\"rss_kb\":[%ld,%ld],\"fds\":[%ld,%ld],\"samples\":[", rss[0], rss[1], fds[0],
           fds[1]);
    for (int i = 0; i < runs; i++)
        printf("%s%.1f", i ? "," : "", us[i]);
    printf("]}\n");
    ctr_runtime_close(rt, NULL);
    ctr_runtime_free(rt);
    free(us);
    free(ballast);
    return 0;
}
