/*
 * A library to preload (LD_PRELOAD) under a dynamically linked batch. It stands between SQLite and libc, for the job file, its
 * companions -wal and -journal, and their folder. It sees what SQLite does and nothing else: Go's own file writes bypass libc.
 *
 * The environment says what it does:
 *
 *   SHIM_FILE   the job file, as an absolute path without symbolic links. Without it nothing is done.
 *
 *   SHIM_COUNT  a file that holds, from the first call on and after a kill too, six numbers of 8 bytes in the machine's order: how
 *               many calls there were of each kind, in the order open, write, sync, truncate, unlink, and how many faults were done.
 *               A fault that lies beyond the last call does not count: then the run passed untouched. Where the file exists already,
 *               counting goes on.
 *
 *   SHIM_FAULT  faults, between commas: KIND:WHEN:WHAT
 *                 KIND  open, write, sync, truncate or unlink
 *                 WHEN  5 is the fifth call of its kind, 5- every one from then on, 5-9 the fifth to the ninth. Each process counts
 *                       from 1.
 *                 WHAT  EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EACCES: the call fails so, and nothing was done;
 *                       half: only half is written, and the caller told so, as a disk may do; half-EIO (half-ENOSPC, ...): half is
 *                       written, and then the call fails; 500ms: the call takes that much longer. half is for write only.
 *               For example SHIM_FAULT=write:12-:ENOSPC,truncate:1-:EIO. The first that fits is done.
 *               What is written wrongly ends the process with a word on stderr and code 99.
 *
 *   SHIM_LOG    a file to which every call that changes something is recorded, in the order in which they happen, whatever thread
 *               makes them. Each is a line "KIND FILE OFFSET LENGTH", FILE being db, wal, journal or dir; after a write come its
 *               LENGTH bytes and a line break. Kinds: found (OFFSET is the size of a file that SQLite opened for the first time), create, write,
 *               truncate (OFFSET is the new size), unlink, sync, and end, when a run that was recorded died of a failed call. What
 *               changes something stands in the log before it is done, a sync when it has returned: after a kill the last line may
 *               tell of something that did not happen, or be cut off.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { OPEN, WRITE, SYNC, TRUNCATE, UNLINK, KINDS };
static const char *kinds[KINDS] = {"open", "write", "sync", "truncate", "unlink"};

enum file { NONE, DB, WAL, JOURNAL, DIR };
static const char *files[] = {"", "db", "wal", "journal", "dir"};

static const struct { const char *name; int number; } errors[] = {
    {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EFBIG", EFBIG}, {"EROFS", EROFS}, {"EACCES", EACCES},
};

static struct fault { enum kind kind; uint64_t from, to; int half, error; long ms; } faults[16];
static int nfaults;

static char paths[DIR + 1][4096];
static unsigned char file_of[1 << 16]; /* by descriptor */
static unsigned char met[DIR + 1];
static uint64_t made[KINDS];           /* calls of this process */
static uint64_t *counts;               /* shared: KINDS + 1 numbers */
static int log_fd = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* held over a call and its line when there is a log */

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_ftruncate)(int, off64_t);
static int (*real_fsync)(int);
static int (*real_unlink)(const char *);

static void die(const char *what, const char *about)
{
    fprintf(stderr, "shim: %s: %s\n", what, about);
    _exit(99);
}

static enum kind kind_named(const char *name, size_t n)
{
    for (int k = 0; k < KINDS; k++)
        if (strlen(kinds[k]) == n && !strncmp(kinds[k], name, n))
            return k;
    die("SHIM_FAULT: no such kind", name);
    return KINDS;
}

static void parse_what(struct fault *f, const char *what)
{
    char *end;
    f->ms = strtol(what, &end, 10);
    if (end != what && !strcmp(end, "ms"))
        return;
    f->ms = 0;
    if (!strncmp(what, "half", 4)) {
        f->half = 1;
        if (f->kind != WRITE)
            die("SHIM_FAULT: half is for write", what);
        if (!what[4])
            return;
        what += 5;
    }
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (!strcmp(errors[i].name, what))
            f->error = errors[i].number;
    if (!f->error)
        die("SHIM_FAULT: no such fault", what);
}

static void parse_faults(char *text)
{
    char *rest, *when, *what, *end;
    for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        if (nfaults == sizeof faults / sizeof *faults || !(when = strchr(one, ':')) || !(what = strchr(when + 1, ':')))
            die("SHIM_FAULT", one);
        struct fault *f = &faults[nfaults++];
        f->kind = kind_named(one, when - one);
        f->from = f->to = strtoull(when + 1, &end, 10);
        if (*end == '-')
            f->to = end + 1 == what ? UINT64_MAX : strtoull(end + 1, &end, 10);
        if (!f->from || (f->to != UINT64_MAX && end != what))
            die("SHIM_FAULT", one);
        parse_what(f, what + 1);
    }
}

__attribute__((constructor)) static void begin(void)
{
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    const char *job = getenv("SHIM_FILE"), *log = getenv("SHIM_LOG"), *count = getenv("SHIM_COUNT"), *fault = getenv("SHIM_FAULT");
    if (!job || job[0] != '/' || strlen(job) > sizeof paths[0] - 10)
        return;
    sprintf(paths[DB], "%s", job);
    sprintf(paths[WAL], "%s-wal", job);
    sprintf(paths[JOURNAL], "%s-journal", job);
    sprintf(paths[DIR], "%.*s", (int)(strrchr(job, '/') - job), job);
    if (log && (log_fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0)
        die("SHIM_LOG", log);
    if (count) {
        int fd = real_open(count, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || real_ftruncate(fd, (KINDS + 1) * sizeof *counts))
            die("SHIM_COUNT", count);
        counts = mmap(NULL, (KINDS + 1) * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (counts == MAP_FAILED)
            die("SHIM_COUNT", count);
        real_close(fd);
    }
    if (fault)
        parse_faults(strdup(fault));
}

static enum file file_named(const char *path)
{
    for (int f = DB; f <= DIR; f++)
        if (paths[f][0] && !strcmp(paths[f], path))
            return f;
    return NONE;
}

static enum file file_behind(int fd) { return fd >= 0 && fd < (int)sizeof file_of ? file_of[fd] : NONE; }

/* Counts a call and returns the fault that befalls it. A delay is done at once. */
static struct fault *befall(enum kind kind)
{
    uint64_t n = __atomic_add_fetch(&made[kind], 1, __ATOMIC_SEQ_CST);
    if (counts)
        __atomic_add_fetch(&counts[kind], 1, __ATOMIC_SEQ_CST);
    for (struct fault *f = faults; f < faults + nfaults; f++) {
        if (f->kind != kind || n < f->from || n > f->to)
            continue;
        if (counts)
            __atomic_add_fetch(&counts[KINDS], 1, __ATOMIC_SEQ_CST);
        if (f->ms) {
            struct timespec wait = {f->ms / 1000, f->ms % 1000 * 1000000};
            while (nanosleep(&wait, &wait) && errno == EINTR)
                ;
            return NULL;
        }
        errno = f->error;
        return f;
    }
    return NULL;
}

/* The log's line is written with what belongs to it in one call: a kill may cut it off, but nothing gets between. */
static void record(const char *kind, enum file file, uint64_t offset, const void *data, size_t n)
{
    char line[96];
    int length = snprintf(line, sizeof line, "%s %s %llu %zu\n", kind, files[file], (unsigned long long)offset, n);
    struct iovec parts[3] = {{line, length}, {(void *)data, n}, {"\n", 1}};
    ssize_t all = length + (data ? n + 1 : 0);
    if (log_fd >= 0 && writev(log_fd, parts, data ? 3 : 1) != all)
        die("SHIM_LOG", "cannot be written");
}

static void lock(void)
{
    if (log_fd >= 0)
        pthread_mutex_lock(&mutex);
}

/* A call that failed without a fault of ours leaves a record that is wrong. */
static void unlock(int failed)
{
    int error = errno;
    if (failed)
        record("end", NONE, 0, NULL, 0);
    if (log_fd >= 0)
        pthread_mutex_unlock(&mutex);
    errno = error;
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    enum file file = file_named(path);
    if (!file)
        return real_open(path, flags, mode);
    if (befall(OPEN))
        return -1;
    lock();
    struct stat64 info;
    int there = !stat64(path, &info);
    if (file != DIR && there && !met[file])
        record("found", file, info.st_size, NULL, 0);
    if (file != DIR && !there && flags & O_CREAT)
        record("create", file, 0, NULL, 0);
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && fd < (int)sizeof file_of)
        file_of[fd] = file, met[file] = 1;
    unlock(fd < 0 && (there || flags & O_CREAT));
    return fd;
}

int open(const char *path, int flags, ...) __attribute__((alias("open64")));

int close(int fd)
{
    if (file_behind(fd))
        file_of[fd] = NONE;
    return real_close(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset)
{
    enum file file = file_behind(fd);
    if (!file)
        return real_pwrite(fd, data, n, offset);
    struct fault *fault = befall(WRITE);
    if (fault && !fault->half)
        return -1;
    if (fault && n > 1)
        n /= 2;
    lock();
    record("write", file, offset, data, n);
    ssize_t written = real_pwrite(fd, data, n, offset);
    unlock(written != (ssize_t)n);
    if (fault && fault->error) {
        errno = fault->error;
        return -1;
    }
    return written;
}

int ftruncate64(int fd, off64_t size)
{
    enum file file = file_behind(fd);
    if (!file)
        return real_ftruncate(fd, size);
    if (befall(TRUNCATE))
        return -1;
    lock();
    record("truncate", file, size, NULL, 0);
    int failed = real_ftruncate(fd, size);
    unlock(failed);
    return failed;
}

int fsync(int fd)
{
    enum file file = file_behind(fd);
    if (!file)
        return real_fsync(fd);
    if (befall(SYNC))
        return -1;
    lock();
    int failed = real_fsync(fd);
    if (!failed)
        record("sync", file, 0, NULL, 0);
    unlock(failed);
    return failed;
}

int unlink(const char *path)
{
    enum file file = file_named(path);
    if (!file)
        return real_unlink(path);
    if (befall(UNLINK))
        return -1;
    lock();
    struct stat64 info;
    int there = !stat64(path, &info);
    if (there)
        record("unlink", file, 0, NULL, 0);
    int failed = real_unlink(path);
    unlock(failed && there);
    return failed;
}
