/* Preloaded into the bridge: while the file that $FAULTS_DISK_HANGS names exists, whoever reads, writes, cuts or syncs a
 * file below $FAULTS_DISK waits, as on a disk that does not answer. Each that waits leaves a byte in a file of the same
 * name with ".seen" at its end. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *flag) {
    char seen[PATH_MAX];
    snprintf(seen, sizeof seen, "%s.seen", flag);
    int file = open(seen, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        if (syscall(SYS_write, file, "x", 1) < 0) {
            /* It is only missing in the report. */
        }
        close(file);
    }
}

static void wait_for(int file) {
    const char *flag = getenv("FAULTS_DISK_HANGS"), *disk = getenv("FAULTS_DISK");
    if (flag == NULL || disk == NULL || access(flag, F_OK) != 0)
        return;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t of_disk = strlen(disk);
    if (length < (ssize_t)of_disk || strncmp(path, disk, of_disk) != 0)
        return;
    note(flag);
    while (access(flag, F_OK) == 0)
        usleep(5000);
}

ssize_t read(int file, void *into, size_t count) {
    wait_for(file);
    return syscall(SYS_read, file, into, count);
}

ssize_t pread(int file, void *into, size_t count, off_t at) {
    wait_for(file);
    return syscall(SYS_pread64, file, into, count, at);
}

ssize_t pread64(int file, void *into, size_t count, off64_t at) {
    wait_for(file);
    return syscall(SYS_pread64, file, into, count, at);
}

ssize_t write(int file, const void *from, size_t count) {
    wait_for(file);
    return syscall(SYS_write, file, from, count);
}

ssize_t pwrite(int file, const void *from, size_t count, off_t at) {
    wait_for(file);
    return syscall(SYS_pwrite64, file, from, count, at);
}

ssize_t pwrite64(int file, const void *from, size_t count, off64_t at) {
    wait_for(file);
    return syscall(SYS_pwrite64, file, from, count, at);
}

int ftruncate(int file, off_t length) {
    wait_for(file);
    return (int)syscall(SYS_ftruncate, file, length);
}

int ftruncate64(int file, off64_t length) {
    wait_for(file);
    return (int)syscall(SYS_ftruncate, file, length);
}

int fsync(int file) {
    wait_for(file);
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    wait_for(file);
    return (int)syscall(SYS_fdatasync, file);
}
