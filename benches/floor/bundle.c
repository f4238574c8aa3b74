/* What runc's default configuration asks of the kernel for a container, from the start of a command line to the end of the
 * container, by a program that does nothing else: no configuration is read, nothing is checked, kept from harm or told. One
 * program that does nothing is executed for each command. The network namespace is made beside it, on another processor,
 * as early as can be. Without device rules, as in the view of v2. What of it a runtime may do beside something else is another
 * matter: a measure, not a proof.
 *
 * bundle --rootfs DIR --state DIR --commands 1|3 [--runs N] [--json]; in DIR/bin there must be a `true`. Needs root. */
#define _GNU_SOURCE
#include "../common/cgroups.h"
#include "../reference/sys.h"

#include <linux/capability.h>
#include <linux/futex.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

enum { STACK = 64 * 1024, LAST_CAP = 40 };

/* CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE. */
static const uint64_t CAPS = 1ull << 5 | 1ull << 10 | 1ull << 29;
static const char TRUE[] = "/bin/true";
static char *const ARGV[] = {"true", NULL};
static char *const ENVP[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL};

static const char *rootfs;
static char nothing[300], state_dir[300], state_file[340];
static char first_stack[STACK] __attribute__((aligned(16))), other_stack[STACK] __attribute__((aligned(16)));
static int commands = 1, gate[2];
/* The network namespace; -1: it isn't there yet. */
static volatile int network;
static cpu_set_t everywhere;

/* A step of the container's first process: its line is the exit code. */
#define STEP(call) \
    do { \
        if ((call) < 0) \
            _exit(__LINE__ % 255 + 1); \
    } while (0)

static void bring_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    STEP(ioctl(sock, SIOCSIFFLAGS, &request));
    int made = ioctl(sock, SIOCGSKNS, 0);
    STEP(made);
    close(sock);
    network = made;
}

static void make_network(void *unused)
{
    sched_setaffinity(0, sizeof everywhere, &everywhere);
    STEP(unshare(CLONE_NEWNET));
    bring_up();
    syscall(SYS_futex, &network, FUTEX_WAKE, 1, NULL, NULL, 0);
    _exit(0);
}

static void enter_network(void)
{
    while (network < 0)
        syscall(SYS_futex, &network, FUTEX_WAIT, -1, NULL, NULL, 0);
    STEP(setns(network, CLONE_NEWNET));
}

static void mount_all(void)
{
    const unsigned long plain = MS_NOSUID | MS_NOEXEC | MS_NODEV;
    STEP(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
    STEP(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL));
    STEP(chdir(rootfs));
    STEP(mount("proc", "proc", "proc", 0, NULL));
    STEP(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
    const char *folders[] = {"dev/pts", "dev/shm", "dev/mqueue"};
    for (int i = 0; i < 3; i++)
        STEP(mkdir(folders[i], 0755));
    STEP(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
    STEP(mount("shm", "dev/shm", "tmpfs", plain, "mode=1777,size=65536k"));
    STEP(mount("mqueue", "dev/mqueue", "mqueue", plain, NULL));
    enter_network();
    STEP(mount("sysfs", "sys", "sysfs", plain | MS_RDONLY, NULL));
    if (v2) {
        STEP(mount(all[0].dir, "sys/fs/cgroup", NULL, MS_BIND, NULL));
        STEP(sys_mount_setattr(AT_FDCWD, "sys/fs/cgroup", 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0));
        return;
    }
    STEP(mount("tmpfs", "sys/fs/cgroup", "tmpfs", plain, "mode=755"));
    for (int i = 0; i < count; i++) {
        char at[300];
        snprintf(at, sizeof at, "sys/fs/cgroup/%d", i);
        STEP(mkdir(at, 0755));
        STEP(mount(all[i].dir, at, NULL, MS_BIND, NULL));
        STEP(sys_mount_setattr(AT_FDCWD, at, 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0));
    }
}

static void fill_dev(void)
{
    const struct {
        const char *path;
        unsigned major, minor;
    } nodes[] = {{"dev/null", 1, 3}, {"dev/random", 1, 8}, {"dev/full", 1, 7},
                 {"dev/tty", 5, 0},  {"dev/zero", 1, 5},   {"dev/urandom", 1, 9}};
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        STEP(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
    const char *links[][2] = {{"/proc/self/fd", "dev/fd"},
                              {"/proc/self/fd/0", "dev/stdin"},
                              {"/proc/self/fd/1", "dev/stdout"},
                              {"/proc/self/fd/2", "dev/stderr"},
                              {"pts/ptmx", "dev/ptmx"}};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        STEP(symlink(links[i][0], links[i][1]));
}

/* A path that the kernel does not have is left out. */
static void hide(void)
{
    const char *read_only[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
    for (int i = 0; i < 5; i++)
        if (!mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL))
            STEP(sys_mount_setattr(AT_FDCWD, read_only[i], AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0));
    STEP(mount("tmpfs", "sys/firmware", "tmpfs", MS_RDONLY, "size=0"));
    mount("sys/firmware", "proc/acpi", NULL, MS_BIND, NULL);
    mount("sys/firmware", "proc/scsi", NULL, MS_BIND, NULL);
    const char *files[] = {"proc/keys",        "proc/latency_stats", "proc/timer_list", "proc/timer_stats",
                           "proc/sched_debug", "proc/kcore",         "proc/asound"};
    for (int i = 0; i < 7; i++)
        mount("dev/null", files[i], NULL, MS_BIND, NULL);
}

static void give_up_rights(void)
{
    struct rlimit files = {1024, 1024};
    STEP(setrlimit(RLIMIT_NOFILE, &files));
    STEP(syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL));
    for (int cap = 0; cap <= LAST_CAP; cap++)
        if (!(CAPS >> cap & 1))
            STEP(prctl(PR_CAPBSET_DROP, cap));
    STEP(syscall(SYS_setgroups, 0, NULL));
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{(uint32_t)CAPS, (uint32_t)CAPS, 0}, {0, 0, 0}};
    STEP(syscall(SYS_capset, &header, data));
    STEP(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* The container's first process, in its namespaces and the memory of the one that made it. */
static void first(void *unused)
{
    umask(0);
    if (!v2)
        enter();
    mount_all();
    fill_dev();
    STEP(sethostname("runc", 4));
    hide();
    STEP(syscall(SYS_pivot_root, ".", "."));
    STEP(umount2(".", MNT_DETACH));
    STEP(chdir("/"));
    STEP(sys_mount_setattr(AT_FDCWD, "/", 0, MOUNT_ATTR_RDONLY, 0, 0));
    umask(022);
    STEP(setsid());
    give_up_rights();
    char open;
    if (commands > 1)
        STEP(read(gate[0], &open, 1));
    execve(TRUE, ARGV, ENVP);
    _exit(1);
}

static void run_nothing(void)
{
    char *const argv[] = {nothing, NULL};
    int status;
    pid_t pid = start(argv);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
        die(nothing);
}

static void keep_state(void)
{
    static const char text[700];
    if (mkdir(state_dir, 0711))
        die(state_dir);
    int fd = open(state_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, sizeof text) != sizeof text)
        die(state_file);
    close(fd);
}

static long begin_network(void)
{
    struct clone_args args = {.flags = CLONE_VM | CLONE_FILES, .exit_signal = SIGCHLD,
                              .stack = (uintptr_t)other_stack, .stack_size = STACK};
    network = -1;
    long pid = clone3_call(&args, make_network, NULL);
    if (pid < 0)
        die("clone3");
    cpu_set_t elsewhere = everywhere;
    CPU_CLR(sched_getcpu(), &elsewhere);
    sched_setaffinity((pid_t)pid, sizeof elsewhere, &elsewhere);
    return pid;
}

static int run_once(const void *unused)
{
    run_nothing();
    long other = begin_network();
    keep_state();
    make();
    int dir = v2 ? open(all[0].dir, O_PATH | O_CLOEXEC) : -1, status;
    if (pipe2(gate, O_CLOEXEC))
        die("pipe");
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_FILES | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS,
        .exit_signal = SIGCHLD, .stack = (uintptr_t)first_stack, .stack_size = STACK};
    if (v2) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (unsigned)dir;
    }
    long pid = clone3_call(&args, first, NULL);
    if (pid < 0)
        die("clone3");
    for (int command = 1; command < commands; command++) {
        run_nothing();
        if (command == 1 && write(gate[1], "0", 1) != 1)
            die("the gate");
    }
    if (waitpid((pid_t)pid, &status, 0) < 0 || waitpid((pid_t)other, NULL, 0) < 0)
        die("waitpid");
    close(dir);
    close(gate[0]);
    close(gate[1]);
    close(network);
    remove_all();
    if (unlink(state_file) || rmdir(state_dir))
        die(state_dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What a runtime makes where it is missing. */
static void make_points(void)
{
    const char *names[] = {"proc", "dev", "sys"};
    char path[400];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", rootfs, names[i]);
        if (mkdir(path, 0755) && errno != EEXIST)
            die(path);
    }
}

int main(int argc, char **argv)
{
    int runs = 300, json = 0;
    const char *state = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            json = 1;
        else if (!strcmp(argv[i], "--runs") && i + 1 < argc)
            runs = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--commands") && i + 1 < argc)
            commands = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--rootfs") && i + 1 < argc)
            rootfs = argv[++i];
        else if (!strcmp(argv[i], "--state") && i + 1 < argc)
            state = argv[++i];
        else
            runs = 0;
    }
    if (runs < 1 || !rootfs || !state || (commands != 1 && commands != 3))
        return fprintf(stderr, "usage: bundle --rootfs DIR --state DIR --commands 1|3 [--runs N] [--json]\n"), 2;
    beside(nothing, sizeof nothing);
    snprintf(state_dir, sizeof state_dir, "%s/bundle-%d", state, getpid());
    snprintf(state_file, sizeof state_file, "%s/state.json", state_dir);
    if (!find_all())
        return fprintf(stderr, "bundle: no cgroups\n"), 1;
    if (sched_getaffinity(0, sizeof everywhere, &everywhere))
        die("sched_getaffinity");
    make_points();
    return bench_runs("bundle", run_once, NULL, runs, json) ? 1 : 0;
}
