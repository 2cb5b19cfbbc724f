/* How the load generator comes in at a program: what it says first and what it must hear, by step.
 *
 * An HTTP proxy is asked by CONNECT, a SOCKS5 server by a greeting and a request (RFC 1928, without
 * authentication), each sent when the answer before it is whole; a forwarded port is asked nothing.
 */
#ifndef BENCH_ENTRY_H
#define BENCH_ENTRY_H

#include "loopback.h"

enum entry { ENTRY_CONNECT, ENTRY_SOCKS5, ENTRY_FORWARD, ENTRIES };

enum {
    ENTRY_REQUEST = 512,
    /* Answers of `entry_answer` besides a size. */
    ANSWER_UNFINISHED = 0,
    ANSWER_REFUSED = -1,
    SOCKS_VERSION = 5,
    SOCKS_CONNECT = 1,
    SOCKS_IPV4 = 1,
    SOCKS_NAME = 3,
    SOCKS_IPV6 = 4,
};

static const char *const entry_names[ENTRIES] = {"connect", "socks5", "forward"};
static const int entry_steps[ENTRIES] = {1, 2, 0};

static inline size_t http_request(char *text, const char *method, const char *target, const char *host) {
    return (size_t)snprintf(text, ENTRY_REQUEST,
                            "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: loadgen\r\nAccept: */*\r\n\r\n", method,
                            target, host);
}

static inline size_t address_text(char *text, size_t room, const struct sockaddr_in *address) {
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address->sin_addr, host, sizeof host);
    return (size_t)snprintf(text, room, "%s:%d", host, ntohs(address->sin_port));
}

/* Writes what is said in `step`, at most ENTRY_REQUEST bytes; how many they are. */
static inline size_t entry_request(enum entry entry, int step, const struct sockaddr_in *to, char *request) {
    if (entry == ENTRY_CONNECT) {
        char where[64];
        address_text(where, sizeof where, to);
        return http_request(request, "CONNECT", where, where);
    }
    static const char greeting[] = {SOCKS_VERSION, 1, 0}, head[] = {SOCKS_VERSION, SOCKS_CONNECT, 0, SOCKS_IPV4};
    if (step == 0) {
        memcpy(request, greeting, sizeof greeting);
        return sizeof greeting;
    }
    memcpy(request, head, sizeof head);
    memcpy(request + sizeof head, &to->sin_addr, 4);
    memcpy(request + sizeof head + 4, &to->sin_port, 2);
    return sizeof head + 6;
}

static inline int http_succeeded(const unsigned char *bytes) {
    const char *head = (const char *)bytes;
    return strncmp(head, "HTTP/1.", 7) == 0 && strncmp(head + 8, " 2", 2) == 0;
}

static inline ssize_t connect_answer(const unsigned char *bytes) {
    const char *head = (const char *)bytes, *blank = strstr(head, "\r\n\r\n");
    if (!blank) return ANSWER_UNFINISHED;
    return http_succeeded(bytes) ? blank + 4 - head : ANSWER_REFUSED;
}

static inline ssize_t socks_answer(int step, const unsigned char *bytes, size_t filled) {
    if (filled < 2) return ANSWER_UNFINISHED;
    if (bytes[0] != SOCKS_VERSION || bytes[1] != 0) return ANSWER_REFUSED;
    if (step == 0) return 2;
    if (filled < 5) return ANSWER_UNFINISHED;
    size_t bound = bytes[3] == SOCKS_IPV4 ? 4 : bytes[3] == SOCKS_IPV6 ? 16 : bytes[3] == SOCKS_NAME ? 1u + bytes[4] : 0;
    if (!bound) return ANSWER_REFUSED;
    size_t whole = 4 + bound + 2;
    return filled < whole ? ANSWER_UNFINISHED : (ssize_t)whole;
}

/* How long the answer of `step` is, once it is whole; `bytes` end by NUL after `filled`. */
static inline ssize_t entry_answer(enum entry entry, int step, const unsigned char *bytes, size_t filled) {
    return entry == ENTRY_CONNECT ? connect_answer(bytes) : socks_answer(step, bytes, filled);
}

#endif
