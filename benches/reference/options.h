/* The switches: every trick can be turned off to see what it gives. */
#ifndef REF_OPTIONS_H
#define REF_OPTIONS_H
#include <stddef.h>
#include <string.h>

enum { SHAPE_FORK, SHAPE_VFORK, SHAPE_SPARE };
enum { OFF, NOW, AHEAD, REUSE };

static struct options {
    int shape;     /* fork | vfork | spare: who becomes the container, and when */
    int overlay;   /* off (bind) | now | ahead | reuse: when the root file system is mounted; reuse: mount it
                    * once and again only after a run that wrote to it */
    int upper_mem; /* upper and work on tmpfs instead of the disk */
    int is_volatile;  /* overlay's `volatile`: no sync of the whole disk file system at unmount */
    int dev;       /* off | now | ahead | reuse | clone (4): how /dev is made; clone: one, read-only, for everybody */
    int mqueue;    /* mount /dev/mqueue */
    int masks;     /* off | mount (1: bind and tmpfs with mount(2)) | tree (2: clones of prepared trees) |
                    * bind (3: mount(2) from masks that lie in the base namespace; needs --root over) */
    int seccomp;   /* off | tree (1) | allow (2: one instruction, to see the cost of the call itself) */
    int cgroup;    /* off | procs (1) | tasks (2): how the container enters its cgroups */
    int cgroup_ahead; /* make the directories after the previous answer */
    int devices;   /* off | own (1) | shared (2): a devices cgroup with docker's list for each, or one for all */
    int bounding;  /* now (0): the child drops each capability; ahead (1): the launcher has done it */
    int hold;      /* keep the mount namespace alive past exit, so that its teardown is not waited for */
    int beneath;   /* small mount namespace as the base, root mounted over it: no pivot_root, no unmount */
    int net_ahead; /* the launcher makes net, ipc, uts and cgroup namespaces for the next container */
    int lanes;     /* launchers taking turns */
    int runs, warm, gap_us, json, profile, pin;
    const char *program, *state, *rootfs, *name;
} opt = {
    .shape = SHAPE_VFORK, .overlay = REUSE, .is_volatile = 1, .dev = REUSE, .mqueue = 1, .masks = 3, .seccomp = 1,
    .cgroup = 2, .cgroup_ahead = 1, .devices = 2, .bounding = 1, .hold = 1, .beneath = 1, .net_ahead = 0, .lanes = 1,
    .runs = 300, .warm = 20, .pin = -1, .state = "/tmp", .name = "reference",
};

struct choice { const char *flag; int *where; const char *words[6]; };
static const struct choice CHOICES[] = {
    {"--shape", &opt.shape, {"fork", "vfork", "spare"}},
    {"--overlay", &opt.overlay, {"off", "now", "ahead", "reuse"}},
    {"--upper", &opt.upper_mem, {"disk", "memory"}},
    {"--volatile", &opt.is_volatile, {"off", "on"}},
    {"--dev", &opt.dev, {"off", "now", "ahead", "reuse", "clone"}},
    {"--mqueue", &opt.mqueue, {"off", "on"}},
    {"--masks", &opt.masks, {"off", "mount", "tree", "bind"}},
    {"--seccomp", &opt.seccomp, {"off", "tree", "allow"}},
    {"--cgroup", &opt.cgroup, {"off", "procs", "tasks"}},
    {"--cgroup-ahead", &opt.cgroup_ahead, {"off", "on"}},
    {"--devices", &opt.devices, {"off", "own", "shared"}},
    {"--bounding", &opt.bounding, {"now", "ahead"}},
    {"--hold", &opt.hold, {"off", "on"}},
    {"--root", &opt.beneath, {"pivot", "over"}},
    {"--net", &opt.net_ahead, {"now", "ahead"}},
};
struct number { const char *flag; int *where; };
static const struct number NUMBERS[] = {
    {"--runs", &opt.runs}, {"--warm", &opt.warm}, {"--gap", &opt.gap_us}, {"--lanes", &opt.lanes}, {"--pin", &opt.pin},
};
struct text { const char *flag; const char **where; };
static const struct text TEXTS[] = {
    {"--true", &opt.program}, {"--state", &opt.state}, {"--rootfs", &opt.rootfs}, {"--name", &opt.name},
};

static void usage(void)
{
    fprintf(stderr, "usage: reference");
    for (size_t i = 0; i < sizeof CHOICES / sizeof *CHOICES; i++) {
        fprintf(stderr, " [%s", CHOICES[i].flag);
        for (int k = 0; CHOICES[i].words[k]; k++)
            fprintf(stderr, "%c%s", k ? '|' : ' ', CHOICES[i].words[k]);
        fprintf(stderr, "]");
    }
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        fprintf(stderr, " [%s N]", NUMBERS[i].flag);
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        fprintf(stderr, " [%s TEXT]", TEXTS[i].flag);
    fprintf(stderr, " [--json] [--profile]\n");
    exit(2);
}

static int parse_one(const char *flag, const char *value)
{
    for (size_t i = 0; i < sizeof CHOICES / sizeof *CHOICES; i++)
        if (!strcmp(flag, CHOICES[i].flag))
            for (int k = 0; CHOICES[i].words[k]; k++)
                if (!strcmp(value, CHOICES[i].words[k])) {
                    *CHOICES[i].where = k;
                    return 1;
                }
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        if (!strcmp(flag, NUMBERS[i].flag)) {
            *NUMBERS[i].where = atoi(value);
            return 1;
        }
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        if (!strcmp(flag, TEXTS[i].flag)) {
            *TEXTS[i].where = value;
            return 1;
        }
    return 0;
}

static void parse_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            opt.json = 1;
        else if (!strcmp(argv[i], "--profile"))
            opt.profile = 1;
        else if (i + 1 >= argc || !parse_one(argv[i], argv[i + 1]))
            usage();
        else
            i++;
    }
    /* what a child in the small mount namespace can't reach by path */
    if (opt.beneath && (opt.overlay == OFF || opt.overlay == NOW || opt.masks == 1)) {
        fprintf(stderr, "reference: this needs --root pivot\n");
        exit(2);
    }
    if (!opt.beneath && opt.masks == 3) {
        fprintf(stderr, "reference: --masks bind needs --root over\n");
        exit(2);
    }
}
#endif
