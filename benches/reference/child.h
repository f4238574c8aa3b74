/* The steps of the container's first process. With --shape vfork and spare it shares the launcher's memory until it
 * executes the program, so it allocates nothing and leaves every variable but its own alone. */
#ifndef REF_CHILD_H
#define REF_CHILD_H
#include "prepare.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include "filter.h"
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static __attribute__((noreturn)) void fail(int which)
{
    sh->failed_errno = errno;
    sh->failed_step = which;
    sh->ready = 2;
    syscall(SYS_futex, &sh->ready, FUTEX_WAKE, 1, NULL, NULL, 0);
    _exit(125);
}

#define CHECK(call, which) do { if ((call) < 0) fail(which); } while (0)

static const char *const MASK_FILES[] = {"proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats",
    "proc/sched_debug", "proc/timer_list", "proc/timer_stats"};
static const char *const MASK_DIRS[] = {"proc/acpi", "proc/asound", "proc/scsi", "sys/devices/virtual/powercap",
    "sys/firmware", "sys/fs/selinux"};
static const char *const READONLY[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
#define COUNT(a) (sizeof(a) / sizeof *(a))

static int absent(int result) { return result < 0 && (errno == ENOENT || errno == ENOTDIR) ? 0 : result; }

static void mask_with_trees(void)
{
    for (size_t i = 0; i < COUNT(MASK_FILES) + COUNT(MASK_DIRS); i++) {
        int is_file = i < COUNT(MASK_FILES);
        /* look first: a clone that is closed unused waits for an RCU period */
        if (faccessat(AT_FDCWD, is_file ? MASK_FILES[i] : MASK_DIRS[i - COUNT(MASK_FILES)], F_OK, 0) < 0) {
            CHECK(absent(-1), T_MASKS);
            continue;
        }
        int fd = sys_open_tree(is_file ? lane.mask_file : lane.mask_dir, "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
        CHECK(fd, T_MASKS);
        CHECK(absent(sys_move_mount(fd, AT_FDCWD, is_file ? MASK_FILES[i] : MASK_DIRS[i - COUNT(MASK_FILES)])), T_MASKS);
        close(fd);
    }
    for (size_t i = 0; i < COUNT(READONLY); i++) {
        int fd = sys_open_tree(AT_FDCWD, READONLY[i], OPEN_TREE_CLONE);
        if (fd < 0) {
            CHECK(absent(fd), T_MASKS);
            continue;
        }
        CHECK(sys_mount_setattr(fd, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0), T_MASKS);
        CHECK(sys_move_mount(fd, AT_FDCWD, READONLY[i]), T_MASKS);
        close(fd);
    }
}

static void mask_with_mount(void)
{
    for (size_t i = 0; i < COUNT(MASK_FILES); i++)
        CHECK(absent(mount("dev/null", MASK_FILES[i], NULL, MS_BIND, NULL)), T_MASKS);
    for (size_t i = 0; i < COUNT(MASK_DIRS); i++)
        CHECK(absent(mount("tmpfs", MASK_DIRS[i], "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0k")),
              T_MASKS);
    for (size_t i = 0; i < COUNT(READONLY); i++) {
        int r = mount(READONLY[i], READONLY[i], NULL, MS_BIND, NULL);
        CHECK(absent(r), T_MASKS);
        if (r == 0)
            CHECK(mount(NULL, READONLY[i], NULL,
                        MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), T_MASKS);
    }
}

/* The masks lie in the base namespace, below the container's root; "/" is still there. */
static void mask_with_bind(void)
{
    for (size_t i = 0; i < COUNT(MASK_FILES) + COUNT(MASK_DIRS); i++) {
        int is_file = i < COUNT(MASK_FILES);
        CHECK(absent(mount(is_file ? "/null" : "/dir", is_file ? MASK_FILES[i] : MASK_DIRS[i - COUNT(MASK_FILES)], NULL,
                           MS_BIND, NULL)), T_MASKS);
    }
    for (size_t i = 0; i < COUNT(READONLY); i++) {
        int r = mount(READONLY[i], READONLY[i], NULL, MS_BIND, NULL);
        CHECK(absent(r), T_MASKS);
        if (r == 0)
            CHECK(sys_mount_setattr(AT_FDCWD, READONLY[i], 0, MOUNT_ATTR_RDONLY, 0, 0), T_MASKS);
    }
}

static void child_cgroup(struct shot *s)
{
    if (opt.cgroup == OFF)
        return;
    for (int i = 0; i < lane.cgroups; i++)
        CHECK(write(s->tasks_fd[i], "0", 1), T_CGROUP);
}

/* The root file system and, while it is at hand, the working directory in it. */
static void child_root(struct shot *s)
{
    int fd = s->root_fd;
    if (!opt.beneath)
        CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), T_ROOT);
    if (opt.overlay == OFF)
        fd = sys_open_tree(lane.rootfs_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
    else if (opt.overlay == NOW)
        fd = make_root_overlay(s->id);
    CHECK(fd, T_ROOT);
    if (opt.beneath)
        CHECK(sys_move_mount(fd, AT_FDCWD, "/"), T_ROOT);
    else
        CHECK(sys_move_mount(fd, AT_FDCWD, lane.state), T_ROOT);
    CHECK(fchdir(fd), T_ROOT);
    close(fd);
}

static void child_dev(struct shot *s)
{
    if (opt.dev == OFF)
        return;
    int fd = s->dev_fd;
    if (opt.dev == NOW)
        fd = make_dev(0);
    else if (opt.dev == 4)
        fd = sys_open_tree(lane.dev_tree, "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
    CHECK(fd, T_DEV);
    CHECK(sys_move_mount(fd, AT_FDCWD, "dev"), T_DEV);
    if (opt.dev != AHEAD && opt.dev != REUSE) {
        CHECK(mount_at(fresh_mount("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, DEVPTS), fd, "pts"), T_DEV);
        CHECK(mount_at(fresh_mount("tmpfs", ATTR_SAFE, TMPFS_SHM), fd, "shm"), T_DEV);
    }
    int q = s->mqueue_fd >= 0 || !opt.mqueue ? s->mqueue_fd : fresh_mount("mqueue", ATTR_SAFE, NULL);
    if (opt.mqueue)
        CHECK(mount_at(q, fd, "mqueue"), T_DEV);
    close(fd);
}

static void child_mounts(struct shot *s)
{
    child_root(s);
    step(T_ROOT);
    child_dev(s);
    step(T_DEV);
    CHECK(mount_at(fresh_mount("proc", ATTR_SAFE, NULL), AT_FDCWD, "proc"), T_PROC);
    step(T_PROC);
    int sys = s->sys_fd >= 0 ? s->sys_fd : fresh_mount("sysfs", ATTR_SAFE | MOUNT_ATTR_RDONLY, NULL);
    CHECK(mount_at(sys, AT_FDCWD, "sys"), T_SYS);
    step(T_SYS);
    if (opt.masks == 1)
        mask_with_mount();
    else if (opt.masks == 2)
        mask_with_trees();
    else if (opt.masks == 3)
        mask_with_bind();
    step(T_MASKS);
    if (opt.beneath) {
        CHECK(chroot("."), T_PIVOT);
    } else {
        CHECK(syscall(SYS_pivot_root, ".", "."), T_PIVOT);
        CHECK(umount2(".", MNT_DETACH), T_PIVOT);
    }
    CHECK(chdir("/"), T_PIVOT);
    step(T_PIVOT);
}

/* docker's set less MKNOD, NET_RAW and AUDIT_WRITE */
static const int KEEP[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL, CAP_SETGID, CAP_SETUID,
                           CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_SETFCAP};

static uint64_t kept_caps(void)
{
    uint64_t keep = 0;
    for (size_t i = 0; i < COUNT(KEEP); i++)
        keep |= 1ull << KEEP[i];
    return keep;
}

static int drop_bounding(void)
{
    uint64_t keep = kept_caps();
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
        if (!(keep >> cap & 1) && prctl(PR_CAPBSET_READ, cap) == 1 && prctl(PR_CAPBSET_DROP, cap))
            return -1;
    return 0;
}

static void child_privileges(void)
{
    uint64_t keep = kept_caps();
    if (!opt.bounding)
        CHECK(drop_bounding(), T_CAPS);
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {{(uint32_t)keep, (uint32_t)keep, 0}, {(uint32_t)(keep >> 32), (uint32_t)(keep >> 32), 0}};
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), T_CAPS);
    CHECK(syscall(SYS_capset, &h, d), T_CAPS);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), T_CAPS);
}

static void child_seccomp(void)
{
    struct sock_fprog p = {COUNT(FILTER_TREE), (struct sock_filter *)FILTER_TREE};
    static const struct sock_filter all = {6, 0, 0, SECCOMP_RET_ALLOW};
    if (opt.seccomp == 2)
        p = (struct sock_fprog){1, (struct sock_filter *)&all};
    if (opt.seccomp)
        CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), T_SECCOMP);
}

static void child_main(void *arg)
{
    struct shot *s = arg;
    static char *const argv[] = {"true", NULL};
    static char *const envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL};
    step(T_CHILD);
    child_cgroup(s);
    step(T_CGROUP);
    child_mounts(s);
    if (!opt.net_ahead) {
        CHECK(sethostname("c0ffee", 6), T_UTS);
        CHECK(loopback_up(), T_UTS);
    }
    step(T_UTS);
    CHECK(dup2(s->null_fd, 0), T_CAPS);
    CHECK(dup2(s->out[1], 1), T_CAPS);
    CHECK(dup2(s->err[1], 2), T_CAPS);
    /* UNSHARE would be for a shared table; each shape here has its own copy */
    CHECK(syscall(SYS_close_range, 3u, ~0u, opt.shape == SHAPE_SPARE ? 0 : 4 /* CLOEXEC */), T_CAPS);
    CHECK(setsid(), T_CAPS);
    child_privileges();
    step(T_CAPS);
    child_seccomp();
    step(T_SECCOMP);
    if (opt.shape == SHAPE_SPARE) {
        sh->ready = 1;
        syscall(SYS_futex, &sh->ready, FUTEX_WAKE, 1, NULL, NULL, 0);
        while (__atomic_load_n(&sh->go, __ATOMIC_ACQUIRE) == 0)
            syscall(SYS_futex, &sh->go, FUTEX_WAIT, 0, NULL, NULL, 0);
    }
    execve("/true", argv, envp);
    fail(T_EXECED);
}
#endif
