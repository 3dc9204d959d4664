// Bends what one process believes, from a file that the test writes meanwhile: what time it is,
// and how well the ledger's disk does. Preloaded, so that the program under test is the very one
// that is shipped. Not linked into anything.
//
//   BEND=/path  three 8-byte integers of this machine: milliseconds that the clock is ahead,
//               microseconds that each write or sync of the ledger takes longer, and the error
//               number that each of them fails with (0: none).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *bend;
static int (*real_clock)(clockid_t, struct timespec *);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);

__attribute__((constructor)) static void begin(void) {
    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    const char *path = getenv("BEND");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *shared = mmap(NULL, 24, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED) bend = shared;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    int done = real_clock(id, at);
    if (done == 0 && bend && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t ns = (int64_t)at->tv_sec * 1000000000 + at->tv_nsec + bend[0] * 1000000;
        at->tv_sec = ns / 1000000000;
        at->tv_nsec = ns % 1000000000;
    }
    return done;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    int done = clock_gettime(CLOCK_REALTIME, &exact);
    at->tv_sec = exact.tv_sec;
    at->tv_usec = exact.tv_nsec / 1000;
    return done;
}

time_t time(time_t *at) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (at) *at = exact.tv_sec;
    return exact.tv_sec;
}

// Whether this write is to fail; it takes as long as it is told to.
static int fails(int fd) {
    if (!bend || (bend[1] == 0 && bend[2] == 0)) return 0;
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "/ledger.db")) return 0;
    if (bend[1] > 0) usleep((useconds_t)bend[1]);
    if (bend[2] == 0) return 0;
    errno = (int)bend[2];
    return 1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
    return fails(fd) ? -1 : real_pwrite(fd, bytes, length, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite64(fd, bytes, length, at);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return fails(fd) ? -1 : real_write(fd, bytes, length);
}

int fsync(int fd) { return fails(fd) ? -1 : real_fsync(fd); }

int fdatasync(int fd) { return fails(fd) ? -1 : real_fdatasync(fd); }

int ftruncate64(int fd, off_t length) { return fails(fd) ? -1 : real_ftruncate(fd, length); }

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
