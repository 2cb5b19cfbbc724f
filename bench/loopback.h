/* What the load generator and its origin share: the byte pattern, the clock, loopback sockets. */
#ifndef BENCH_LOOPBACK_H
#define BENCH_LOOPBACK_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    /* A prime: a block that a relay loses, repeats or swaps cannot fall on the same bytes again. */
    PATTERN_PERIOD = 65521,
    /* One system call's worth: more does not move bytes faster on loopback. */
    CHUNK = 128 * 1024,
    /* The sink reports what it took this often; the reports cost under 0.001% of the traffic. */
    ACK_EVERY = 1024 * 1024,
    /* And after so many nanoseconds, so that a program of less than 1 MiB/s has a rate too. */
    ACK_AFTER = 50000000,
    HTTP_BODY = 1024,
    SECOND = 1000000000,
};

static unsigned char pattern[PATTERN_PERIOD + CHUNK];

static inline void fill_pattern(void) {
    uint64_t word = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < PATTERN_PERIOD; i++) {
        word ^= word << 13, word ^= word >> 7, word ^= word << 17;
        pattern[i] = (unsigned char)(word >> 32);
    }
    for (int i = PATTERN_PERIOD; i < PATTERN_PERIOD + CHUNK; i++) pattern[i] = pattern[i - PATTERN_PERIOD];
}

/* The pattern from position `at` of a stream on; CHUNK bytes may be read. */
static inline const unsigned char *pattern_at(uint64_t at) { return pattern + at % PATTERN_PERIOD; }

static inline uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* The one JSON object of a run that failed; `what` is its key. */
__attribute__((noreturn)) static inline void end_badly(const char *what, const char *format, va_list arguments) {
    printf("{\"%s\": \"", what);
    vprintf(format, arguments);
    puts("\"}");
    fflush(stdout);
    exit(1);
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    end_badly("error", format, arguments);
}

/* Of a run that waited in vain: nothing was wrong, only nothing came. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void stalled(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    end_badly("stalled", format, arguments);
}

/* Only loopback is ever spoken to: the generator must not be a weapon by a slip of the keyboard. */
static inline struct sockaddr_in loopback_address(const char *host, long port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) die("not an IPv4 address: %s", host);
    if ((ntohl(address.sin_addr.s_addr) >> 24) != 127) die("not a loopback address: %s", host);
    if (port < 0 || port > 65535) die("not a port: %ld", port);
    return address;
}

static inline void set_option(int fd, int level, int name, int value) {
    if (setsockopt(fd, level, name, &value, sizeof value) < 0) die("setsockopt: %s", strerror(errno));
}

/* Never outlive the bench, take every file descriptor there is, let writes fail instead of kill. */
static inline void settle_process(void) {
    struct rlimit files;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    fill_pattern();
}

static inline int would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

#endif
