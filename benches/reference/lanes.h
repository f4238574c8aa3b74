/* The launchers and the client that asks them in turn. */
#ifndef REF_LANES_H
#define REF_LANES_H

static void setup_rootfs(void)
{
    char program[300] = "", cmd[700];
    if (opt.program)
        snprintf(program, sizeof program, "%s", opt.program);
    else { /* beside this program */
        ssize_t n = readlink("/proc/self/exe", program, sizeof program - 6);
        if (n < 0)
            die("readlink");
        program[n] = 0;
        strcpy(strrchr(program, '/') + 1, "true");
    }
    snprintf(cmd, sizeof cmd, "cd '%s' && mkdir -p root/proc root/sys root/dev root/tmp root/etc && cp '%s' root/true",
             lane.state, program);
    if (system(cmd))
        die("making a root file system");
}

static void find_cgroups(void)
{
    const char *want[] = {"memory", "pids", opt.devices ? "devices" : NULL};
    char line[400], path[400];
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (opt.cgroup == OFF || !f)
        return;
    while (fgets(line, sizeof line, f)) {
        char *ctl = strchr(line, ':'), *own = ctl ? strchr(ctl + 1, ':') : NULL;
        if (!own)
            continue;
        *own++ = 0;
        own[strcspn(own, "\n")] = 0;
        for (size_t i = 0; i < COUNT(want); i++)
            if (want[i] && !strcmp(ctl + 1, want[i])) {
                snprintf(path, sizeof path, "/sys/fs/cgroup/%s%s", want[i], own);
                int dir = must(open(path, O_PATH | O_CLOEXEC), path);
                if (mkdirat(dir, lane.cgroup_name, 0755))
                    die("cgroup %s/%s", path, lane.cgroup_name);
                lane.cgroup_ctl[lane.cgroups] = want[i];
                lane.cgroup_fd[lane.cgroups++] =
                    must(openat(dir, lane.cgroup_name, O_PATH | O_CLOEXEC), "own cgroup");
                close(dir);
                if (!strcmp(want[i], "devices"))
                    limit_devices(lane.cgroup_fd[lane.cgroups - 1]);
            }
    }
    fclose(f);
}

static void remove_own_cgroups(void)
{
    char path[100];
    for (int i = 0; i < lane.cgroups; i++) {
        if (lane.next_id) { /* after a failure */
            snprintf(path, sizeof path, "%ld", lane.next_id - 1);
            unlinkat(lane.cgroup_fd[i], path, AT_REMOVEDIR);
        }
        snprintf(path, sizeof path, "../%s", lane.cgroup_name);
        if (unlinkat(lane.cgroup_fd[i], path, AT_REMOVEDIR))
            fprintf(stderr, "reference: cgroup %s stays: %s\n", lane.cgroup_name, strerror(errno));
    }
}

static void remove_lane(void)
{
    char cmd[500];
    remove_own_cgroups();
    if (lane.kept_root >= 0)
        close(lane.kept_root);
    if (opt.upper_mem)
        umount2(lane.state, MNT_DETACH);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", lane.state);
    if (system(cmd))
        fprintf(stderr, "reference: %s stays\n", lane.state);
}

static int make_base(void);

/* A private copy of the mounts for the launcher; with --root over also a namespace of one empty read-only mount. */
static void setup_namespaces(void)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        die("unshare");
    if (!opt.beneath)
        return;
    lane.own_ns = must(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "ns");
    int root = must(make_base(), "base");
    if (unshare(CLONE_NEWNS))
        die("unshare");
    lane.base_ns = must(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "base ns"); /* while there is a /proc */
    if (sys_move_mount(root, AT_FDCWD, "/tmp") || fchdir(root) ||
        syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH))
        die("base namespace");
    if (setns(lane.own_ns, CLONE_NEWNS))
        die("setns");
    close(root);
}

/* A tmpfs with the masks: /null and /dir, each a read-only mount of its own. */
static int make_base(void)
{
    int root = fresh_mount("tmpfs", ATTR_SAFE, TMPFS_DEV), fd;
    if (root < 0 || mkdirat(root, "dir", 0755) || (fd = openat(root, "null", O_CREAT | O_CLOEXEC, 0644)) < 0)
        return -1;
    close(fd);
    if (mount_at(sys_open_tree(lane.mask_dir, "", AT_EMPTY_PATH | OPEN_TREE_CLONE), root, "dir") ||
        mount_at(sys_open_tree(lane.mask_file, "", AT_EMPTY_PATH | OPEN_TREE_CLONE), root, "null"))
        return -1;
    return sys_mount_setattr(root, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0) ? -1 : root;
}

static void setup_trees(void)
{
    const char *empty[] = {"mode", "755", "size", "4k", NULL};
    lane.mask_dir = must(fresh_mount("tmpfs", ATTR_SAFE | MOUNT_ATTR_RDONLY, empty), "mask");
    int dev = must(fresh_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, TMPFS_DEV), "dev");
    close(dev);
    dev = must(make_dev(0), "dev");
    lane.mask_file = must(sys_open_tree(dev, "null", OPEN_TREE_CLONE), "null");
    if (sys_mount_setattr(lane.mask_file, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0))
        die("mask");
    if (sys_mount_setattr(dev, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0))
        die("dev");
    lane.dev_tree = dev;
}

static void setup_lane(int number)
{
    snprintf(lane.cgroup_name, sizeof lane.cgroup_name, "containers-reference-%d-%d", getpid(), number);
    snprintf(lane.state, sizeof lane.state, "%s/containers-reference-XXXXXX", opt.state);
    if (!mkdtemp(lane.state) || chmod(lane.state, 0755))
        die("mkdtemp");
    before_death = remove_lane;
    snprintf(lane.rootfs, sizeof lane.rootfs, "%s/root", lane.state);
    if (opt.rootfs)
        snprintf(lane.rootfs, sizeof lane.rootfs, "%s", opt.rootfs);
    else
        setup_rootfs();
    find_cgroups();
    setup_trees();
    setup_namespaces();
    lane.rootfs_fd = must(open(lane.rootfs, O_PATH | O_CLOEXEC), "rootfs");
    if (opt.upper_mem && mount("tmpfs", lane.state, "tmpfs", 0, "mode=755")) {
        die("tmpfs");
    }
    if (opt.upper_mem) { /* the root lies below the new mount now */
        snprintf(lane.rootfs, sizeof lane.rootfs, "/proc/self/fd/%d", lane.rootfs_fd);
    }
    lane.state_fd = must(open(lane.state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "state");
    sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    child_stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sh == MAP_FAILED || child_stack == MAP_FAILED)
        die("mmap");
    lane.kept_root = lane.kept_dev = -1;
    if (opt.bounding && drop_bounding())
        die("bounding set");
}

/* The median of each step, and the sums that matter. */
static void print_profile(double (*all)[T_COUNT], int n)
{
    double *v = malloc(sizeof *v * (size_t)n);
    for (int k = 1; k < T_COUNT; k++) {
        for (int i = 0; i < n; i++)
            v[i] = all[i][k] && all[i][k - 1] ? all[i][k] - all[i][k - 1] : 0;
        qsort(v, (size_t)n, sizeof *v, bench_cmp);
        fprintf(stderr, "  %-10s p50 %5.0f  p90 %5.0f  p99 %5.0f\n", T_NAMES[k], bench_pct(v, (size_t)n, 50),
                bench_pct(v, (size_t)n, 90), bench_pct(v, (size_t)n, 99));
    }
    free(v);
}

/* One launcher; what a client sees is from its request to the answer, and it asks again at once (or after the gap):
 * cleaning up and preparing after an answer delays the next one. */
static int run_single(void)
{
    double *us = malloc(sizeof *us * (size_t)opt.runs), (*all)[T_COUNT] = malloc(sizeof *all * (size_t)opt.runs);
    struct shot s;
    setup_lane(0);
    make_ready(&s);
    double request = now_us();
    for (int i = -opt.warm; i < opt.runs; i++) {
        sh->t[T_REQUEST] = now_us();
        run_shot(&s);
        double answer = sh->t[T_ANSWER];
        if (i >= 0)
            us[i] = answer - request;
        clean_shot(&s);
        if (i + 1 < opt.runs)
            make_ready(&s);
        step(T_READY);
        if (i >= 0)
            memcpy(all[i], sh->t, sizeof *all);
        request = answer + opt.gap_us;
        while (now_us() < request)
            usleep((useconds_t)(request - now_us() > 200 ? request - now_us() - 100 : 0));
    }
    remove_lane();
    bench_report(opt.name, us, (size_t)opt.runs, opt.json);
    if (opt.profile)
        print_profile(all, opt.runs);
    return 0;
}

/* Several launchers: what a lane tells the client, and the other way round. */
enum { L_PREPARING, L_READY, L_ASKED, L_ANSWERED, L_QUIT };
static struct board { uint32_t changed, state[8]; } *board;

static void futex_wait(uint32_t *word, uint32_t value) { syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0); }
static void futex_wake(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1 << 30, NULL, NULL, 0); }

static void set_state(int i, uint32_t state)
{
    __atomic_store_n(&board->state[i], state, __ATOMIC_RELEASE);
    futex_wake(&board->state[i]);
    __atomic_add_fetch(&board->changed, 1, __ATOMIC_RELEASE);
    futex_wake(&board->changed);
}

static void lane_died(int signal) { _exit(1); }
static void client_died(int signal) { errno = EINTR, die("stopped"); }

static void lane_main(int i)
{
    struct shot s;
    uint32_t state;
    signal(SIGCHLD, SIG_DFL);
    signal(SIGTERM, client_died);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setup_lane(i);
    for (;;) {
        make_ready(&s);
        set_state(i, L_READY);
        while ((state = __atomic_load_n(&board->state[i], __ATOMIC_ACQUIRE)) != L_ASKED && state != L_QUIT)
            futex_wait(&board->state[i], state);
        run_shot(&s);
        set_state(i, state == L_QUIT ? L_PREPARING : L_ANSWERED);
        clean_shot(&s);
        if (state == L_QUIT)
            break;
    }
    remove_lane();
    exit(0);
}

/* A lane in the wanted state; waits for one. */
static int find_lane(uint32_t wanted)
{
    for (;;) {
        uint32_t seen = __atomic_load_n(&board->changed, __ATOMIC_ACQUIRE);
        for (int i = 0; i < opt.lanes; i++)
            if (__atomic_load_n(&board->state[i], __ATOMIC_ACQUIRE) == wanted)
                return i;
        futex_wait(&board->changed, seen);
    }
}

static int run_many(void)
{
    double *us = malloc(sizeof *us * (size_t)opt.runs);
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGCHLD, lane_died);
    for (int i = 0; i < opt.lanes; i++)
        if (fork() == 0)
            lane_main(i);
    for (int i = -opt.warm; i < opt.runs; i++) {
        double t = now_us();
        int k = find_lane(L_READY);
        set_state(k, L_ASKED);
        uint32_t st;
        while ((st = __atomic_load_n(&board->state[k], __ATOMIC_ACQUIRE)) == L_ASKED)
            futex_wait(&board->state[k], st);
        if (i >= 0)
            us[i] = now_us() - t;
        if (opt.gap_us)
            usleep((useconds_t)opt.gap_us);
    }
    signal(SIGCHLD, SIG_DFL);
    for (int n = 0; n < opt.lanes; n++)
        set_state(find_lane(L_READY), L_QUIT);
    while (wait(NULL) > 0)
        ;
    bench_report(opt.name, us, (size_t)opt.runs, opt.json);
    return 0;
}

static int run_lanes(void) { return opt.lanes > 1 ? run_many() : run_single(); }
#endif
