/* Faults of the disk and of the system clock for one process. Loaded with LD_PRELOAD and controlled by files.
 *
 * A control file has the name of the database file and a suffix:
 *
 *   NAME.fail-sync   the next sync of NAME fails with EIO, once: the control file is removed. As on Linux,
 *                    the unwritten pages then count as written.
 *   NAME.fail-write  writes to NAME fail with the error number in this file while it exists.
 *   NAME.fail-read   reads of NAME fail with the error number in this file while it exists.
 *   NAME.stall       a sync of NAME waits while the control file exists.
 *
 * The variable FAULTS_COUNTDOWN names a file with one of these lines. It is removed when that happens. Processes that follow
 * each other count on.
 *
 *   fail-sync N      the N-th sync of a database, of a file beside it or of a directory fails with EIO.
 *   kill-sync N      the process is killed before that sync.
 *   kill-call N      the process is killed before the N-th sync or write.
 *
 * If the variable FAULTS_DISK is set, NAME.disk holds what a power cut would leave of NAME: the pages that a successful
 * sync covered. NAME.dirty holds one byte for each page: whether it was written since that sync.
 *
 * The variable FAULTS_CLOCK names a file with the number of seconds by which the system clock is wrong. Without the file,
 * the clock is right. Programs get the time from the C library, so it is enough to replace the library's function.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_sync)(int);
static int (*real_unlink)(const char *);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void find(void) {
    real_pread = dlsym(RTLD_NEXT, "pread64");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_sync = dlsym(RTLD_NEXT, "fsync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

static int ends_with(const char *path, const char *end) {
    size_t length = strlen(path), tail = strlen(end);
    return length > tail && strcmp(path + length - tail, end) == 0;
}

/* The mode of the file, and its path. 0 if it has none. */
static mode_t find_path(int fd, char *path) {
    char link[64];
    struct stat status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 64);
    if (length <= 0 || fstat(fd, &status) != 0) return 0;
    path[length] = 0;
    return status.st_mode;
}

/* The path of a database or of its log; NULL for every other file. */
static const char *path_of(int fd, char *path) {
    if (!S_ISREG(find_path(fd, path))) return NULL;
    return ends_with(path, ".db") || ends_with(path, ".db-wal") ? path : NULL;
}

/* Counts down if `what` is counted and the file matters. Returns 1 when this call must fail. */
static int is_the_one(int fd, int is_sync) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    const char *plan = getenv("FAULTS_COUNTDOWN");
    char path[PATH_MAX], text[32] = "", what[16];
    int left, fails = 0;
    if (!plan) return 0;
    mode_t mode = find_path(fd, path);
    if (!S_ISDIR(mode) && !(S_ISREG(mode) && strstr(path, ".db"))) return 0;
    pthread_mutex_lock(&mutex);
    int control = open(plan, O_RDWR | O_CLOEXEC);
    if (control >= 0) {
        (void)!real_pread(control, text, sizeof text - 1, 0);
        if (sscanf(text, "%15s %d", what, &left) == 2 && (is_sync || strcmp(what, "kill-call") == 0)) {
            if (left > 1) {
                int length = snprintf(text, sizeof text, "%s %d \n", what, left - 1);
                (void)!real_pwrite(control, text, (size_t)length, 0);
            } else {
                real_unlink(plan);
                if (strcmp(what, "fail-sync") != 0) raise(SIGKILL);
                fails = 1;
            }
        }
        close(control);
    }
    pthread_mutex_unlock(&mutex);
    if (fails) errno = EIO;
    return fails;
}

static char *beside(const char *path, const char *suffix, char *name) {
    return strcat(strcpy(name, path), suffix);
}

/* Marks all dirty pages as clean. Copies them to NAME.disk if `copy` is set. */
static void clean(int fd, const char *path, int copy) {
    char name[PATH_MAX], page[PAGE], mark;
    if (!getenv("FAULTS_DISK")) return;
    int dirty = open(beside(path, ".dirty", name), O_RDWR | O_CREAT, 0600);
    int disk = open(beside(path, ".disk", name), O_RDWR | O_CREAT, 0600);
    for (off_t at = 0; real_pread(dirty, &mark, 1, at) == 1; at++) {
        if (!mark) continue;
        ssize_t length = copy ? real_pread(fd, page, PAGE, at * PAGE) : 0;
        if (length > 0) (void)!real_pwrite(disk, page, (size_t)length, at * PAGE);
        (void)!real_pwrite(dirty, "", 1, at);
    }
    struct stat status;
    if (copy && fstat(fd, &status) == 0) (void)!ftruncate(disk, status.st_size);
    close(dirty), close(disk);
}

static void mark_dirty(const char *path, off_t at, size_t length) {
    char name[PATH_MAX];
    if (!getenv("FAULTS_DISK")) return;
    int dirty = open(beside(path, ".dirty", name), O_RDWR | O_CREAT, 0600);
    for (off_t page = at / PAGE; page * PAGE < at + (off_t)length; page++) (void)!real_pwrite(dirty, "\1", 1, page);
    close(dirty);
}

/* Whether the control file with this suffix makes a call fail. Sets errno. */
static int fails(const char *path, const char *suffix) {
    char name[PATH_MAX], number[16] = "";
    int control = open(beside(path, suffix, name), O_RDONLY);
    if (control < 0) return 0;
    (void)!real_pread(control, number, sizeof number - 1, 0);
    close(control);
    errno = atoi(number);
    return 1;
}

static ssize_t pwrite_file(int fd, const void *bytes, size_t length, off_t at) {
    char path[PATH_MAX];
    (void)is_the_one(fd, 0);
    if (!path_of(fd, path)) return real_pwrite(fd, bytes, length, at);
    if (fails(path, ".fail-write")) return -1;
    ssize_t written = real_pwrite(fd, bytes, length, at);
    if (written > 0) mark_dirty(path, at, (size_t)written);
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite_file(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return pwrite_file(fd, bytes, length, at); }

static ssize_t pread_file(int fd, void *bytes, size_t length, off_t at) {
    char path[PATH_MAX];
    if (path_of(fd, path) && fails(path, ".fail-read")) return -1;
    return real_pread(fd, bytes, length, at);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t at) { return pread_file(fd, bytes, length, at); }
ssize_t pread64(int fd, void *bytes, size_t length, off_t at) { return pread_file(fd, bytes, length, at); }

static int sync_file(int fd) {
    char path[PATH_MAX], name[PATH_MAX];
    int is_planned = is_the_one(fd, 1);
    if (!path_of(fd, path)) return is_planned ? -1 : real_sync(fd);
    while (access(beside(path, ".stall", name), F_OK) == 0) usleep(2000);
    if (is_planned) {
        clean(fd, path, 0);
        errno = EIO;
        return -1;
    }
    if (real_unlink(beside(path, ".fail-sync", name)) == 0) {
        clean(fd, path, 0);
        errno = EIO;
        return -1;
    }
    clean(fd, path, 1);
    return real_sync(fd);
}

int fsync(int fd) { return sync_file(fd); }
int fdatasync(int fd) { return sync_file(fd); }

int unlink(const char *path) {
    char name[PATH_MAX];
    if (ends_with(path, ".db-wal")) {
        real_unlink(beside(path, ".disk", name));
        real_unlink(beside(path, ".dirty", name));
    }
    return real_unlink(path);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    /* The constructors of other libraries may call this before ours has run. */
    if (!real_clock_gettime) find();
    int result = real_clock_gettime(clock, time);
    const char *path = getenv("FAULTS_CLOCK");
    if (result != 0 || clock != CLOCK_REALTIME || !path) return result;
    char number[32] = "";
    int control = open(path, O_RDONLY | O_CLOEXEC);
    if (control < 0) return result;
    (void)!read(control, number, sizeof number - 1);
    close(control);
    time->tv_sec += atoll(number);
    return result;
}
