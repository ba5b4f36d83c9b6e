/* Preloaded into the bridge: fsync and fdatasync fail with EIO while the file that $FAULTS_SYNC_FAILS names exists, as
 * they do when a disk cannot write. Each failure leaves a byte in a file of the same name with ".seen" at its end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failing(void) {
    const char *flag = getenv("FAULTS_SYNC_FAILS");
    char seen[4096];
    if (flag == NULL || access(flag, F_OK) != 0)
        return 0;
    snprintf(seen, sizeof seen, "%s.seen", flag);
    int file = open(seen, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        if (write(file, "x", 1) < 0) {
            /* It is only missing in the report. */
        }
        close(file);
    }
    errno = EIO;
    return 1;
}

int fsync(int file) {
    return failing() ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    return failing() ? -1 : (int)syscall(SYS_fdatasync, file);
}
