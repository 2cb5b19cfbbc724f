/* The destinations behind the proxies: echo, source, sink and a small HTTP origin, one epoll loop.
 *
 *   origin [BYTES]
 *
 * Prints one JSON object with its ports, then serves until standard input ends. BYTES bounds what
 * the kernel keeps for each stream on its way out: thousands of busy ones at once would fill all it
 * has for TCP, and then every program stalls alike.
 * echo    sends back what comes
 * source  waits for one byte, then pushes the pattern until the other end goes
 * sink    checks the pattern, and sends its running total (u64, host order) once per ACK_EVERY
 *         bytes or ACK_AFTER; a wrong byte is answered with UINT64_MAX and ends the stream
 * http    answers each request head with 200 and HTTP_BODY bytes of the pattern, keep-alive
 */
#include "loopback.h"

enum kind { ECHO, SOURCE, SINK, HTTP, KINDS };

enum {
    /* Several echo ports: each holds a whole range of the proxy's ephemeral ports in TIME_WAIT. */
    ECHO_PORTS = 8,
    LISTENERS = ECHO_PORTS + 3,
    HELD = 16 * 1024,
    EVENTS = 256,
    /* Of a source's turn: bounded so that one fast stream does not starve the others. */
    WRITES_PER_TURN = 4,
};

struct end {
    int fd;
    enum kind kind;
    int listening, started, waits_for_room;
    uint64_t position, acked, acked_ns;
    size_t held;
    unsigned char *bytes; /* echo: not yet sent back; http: an unfinished head */
};

static int poller, buffer;
static unsigned char arrived[CHUNK];
static char response[HTTP_BODY + 256];
static size_t response_size;

static void watch(struct end *end, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = end};
    if (epoll_ctl(poller, operation, end->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
}

static int listen_on(enum kind kind) {
    struct sockaddr_in address = loopback_address("127.0.0.1", 0);
    socklen_t size = sizeof address;
    struct end *end = calloc(1, sizeof *end);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!end || fd < 0) die("socket: %s", strerror(errno));
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    /* Those that are accepted inherit it. */
    if (buffer) set_option(fd, SOL_SOCKET, SO_SNDBUF, buffer);
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0)
        die("listen: %s", strerror(errno));
    getsockname(fd, (struct sockaddr *)&address, &size);
    *end = (struct end){.fd = fd, .kind = kind, .listening = 1};
    watch(end, EPOLL_CTL_ADD, EPOLLIN);
    return ntohs(address.sin_port);
}

static void accept_all(struct end *listener) {
    for (int fd; (fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct end *end = calloc(1, sizeof *end);
        if (!end) die("out of memory");
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        *end = (struct end){.fd = fd, .kind = listener->kind};
        watch(end, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void finish(struct end *end) {
    close(end->fd);
    free(end->bytes);
    end->fd = -1; /* freed after the batch of events: a later one may still point here */
}

/* Sends what is held; 0 once nothing is left, -1 when the stream is gone. */
static int send_held(struct end *end) {
    while (end->held) {
        ssize_t sent = send(end->fd, end->bytes, end->held, 0);
        if (sent < 0 && would_block()) return 1;
        if (sent < 0) return -1;
        end->held -= (size_t)sent;
        memmove(end->bytes, end->bytes + sent, end->held);
    }
    return 0;
}

static void wait_for_room(struct end *end, int waits) {
    if (end->waits_for_room == waits) return;
    end->waits_for_room = waits;
    watch(end, EPOLL_CTL_MOD, waits ? EPOLLOUT : EPOLLIN);
}

static void serve_echo(struct end *end) {
    int left = send_held(end);
    if (left == 0) {
        ssize_t size = recv(end->fd, arrived, HELD, 0);
        if (size < 0 && would_block()) {
            wait_for_room(end, 0);
            return;
        }
        if (size <= 0) {
            finish(end);
            return;
        }
        ssize_t sent = send(end->fd, arrived, (size_t)size, 0);
        if (sent < 0) sent = would_block() ? 0 : size;
        if (sent < size) {
            if (!end->bytes && !(end->bytes = malloc(HELD))) die("out of memory");
            end->held = (size_t)(size - sent);
            memcpy(end->bytes, arrived + sent, end->held);
            left = 1;
        }
    }
    if (left < 0) finish(end);
    else wait_for_room(end, left);
}

static void serve_source(struct end *end) {
    if (!end->started) {
        if (recv(end->fd, arrived, 1, 0) <= 0) {
            finish(end);
            return;
        }
        end->started = 1;
        wait_for_room(end, 1);
    }
    for (int turn = 0; turn < WRITES_PER_TURN; turn++) {
        ssize_t sent = send(end->fd, pattern_at(end->position), CHUNK, 0);
        if (sent < 0 && would_block()) return;
        if (sent < 0) {
            finish(end);
            return;
        }
        end->position += (uint64_t)sent;
        if (sent < CHUNK) return;
    }
}

static void serve_sink(struct end *end) {
    ssize_t size = recv(end->fd, arrived, CHUNK, 0);
    if (size < 0 && would_block()) return;
    if (size <= 0) {
        finish(end);
        return;
    }
    uint64_t report = UINT64_MAX;
    int wrong = memcmp(arrived, pattern_at(end->position), (size_t)size) != 0;
    end->position += (uint64_t)size;
    if (!wrong) report = end->position;
    uint64_t now = clock_ns();
    if (wrong || end->position - end->acked >= ACK_EVERY || now - end->acked_ns >= ACK_AFTER) {
        end->acked = end->position;
        end->acked_ns = now;
        /* Eight bytes fit whenever the other end reads its reports at all. */
        if (send(end->fd, &report, sizeof report, 0) != sizeof report || wrong) finish(end);
    }
}

/* One request head is one answer; a request with a body does not occur here. */
static void serve_http(struct end *end) {
    if (!end->bytes && !(end->bytes = malloc(HELD))) die("out of memory");
    ssize_t size = recv(end->fd, end->bytes + end->held, HELD - 1 - end->held, 0);
    if (size < 0 && would_block()) return;
    if (size <= 0) {
        finish(end);
        return;
    }
    end->held += (size_t)size;
    for (char *blank; (blank = memmem(end->bytes, end->held, "\r\n\r\n", 4)) != NULL;) {
        size_t head = (size_t)(blank + 4 - (char *)end->bytes);
        if (send(end->fd, response, response_size, 0) != (ssize_t)response_size) {
            finish(end);
            return;
        }
        end->held -= head;
        memmove(end->bytes, end->bytes + head, end->held);
    }
    if (end->held == HELD - 1) finish(end);
}

static void serve(struct end *end) {
    static void (*const serving[KINDS])(struct end *) = {serve_echo, serve_source, serve_sink, serve_http};
    if (end->listening) accept_all(end);
    else serving[end->kind](end);
}

static void write_response(void) {
    response_size = (size_t)sprintf(response,
                                    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                                    "Cache-Control: no-store\r\nContent-Length: %d\r\n\r\n",
                                    HTTP_BODY);
    memcpy(response + response_size, pattern, HTTP_BODY);
    response_size += HTTP_BODY;
}

int main(int argc, char **argv) {
    static struct epoll_event events[EVENTS];
    static struct end *gone[EVENTS];
    static struct end input = {.fd = STDIN_FILENO, .listening = 1};
    settle_process();
    if (argc > 1) buffer = atoi(argv[1]);
    write_response();
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(&input, EPOLL_CTL_ADD, EPOLLIN);
    printf("{\"echo\": [");
    for (int i = 0; i < ECHO_PORTS; i++) printf(i ? ", %d" : "%d", listen_on(ECHO));
    printf("], \"source\": [%d]", listen_on(SOURCE));
    printf(", \"sink\": [%d]", listen_on(SINK));
    printf(", \"http\": [%d]}\n", listen_on(HTTP));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1), ended = 0;
        for (int i = 0; i < count; i++) {
            struct end *end = events[i].data.ptr;
            if (end == &input) return 0;
            if (end->fd < 0) continue;
            serve(end);
            if (end->fd < 0) gone[ended++] = end;
        }
        while (ended) free(gone[--ended]);
    }
}
