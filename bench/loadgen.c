/* Load through an HTTP proxy (or straight to the origin), one scenario a run, one epoll loop.
 *
 *   loadgen MODE --proxy HOST:PORT|direct --origin HOST:PORT[,PORT...] [--tunnels N]
 *           [--entry connect|socks5|forward] [--seconds S] [--warmup S] [--patience S] [--setup S]
 *           [--announce 0|1]
 *
 * bulk-down  N tunnels, bytes pushed by the origin, each compared with the pattern
 * bulk-up    N tunnels, bytes pushed by us, compared and counted by the origin
 * pingpong   N tunnels, one 64-byte message under way in each
 * connects   N at a time: connect, come in (CONNECT, or another entry), one byte echoed, close
 * gets       N connections kept alive: absolute-form GET, 1 KiB answered
 * idle       N tunnels that echoed one byte each, held until standard input ends
 * stall      N tunnels whose origin pushes and that are never read, held likewise
 *
 * Prints one JSON object. Ends by itself: every run has a deadline, and what is under way at its end
 * is waited for (--patience): a message that never comes back fails the run. A fixed set of tunnels
 * must be open within --setup. With --announce 1 a line says when measuring begins, and how
 * many bytes were moved till then, so that what a program has spent can be read from there on.
 * Loopback only.
 */
#include "entry.h"
#include "loopback.h"

enum mode { BULK_DOWN, BULK_UP, PINGPONG, CONNECTS, GETS, IDLE, STALL, MODES };
enum state { CLOSED, CONNECTING, HANDSHAKE, OPEN };
enum phase { OPENING, WARMUP, MEASURE, DRAIN, OVER };

enum {
    MESSAGE = 64,
    HEAD = 8 * 1024,
    EVENTS = 256,
    /* Fewer than the smallest listen backlog met (100): a dropped SYN costs a second. */
    OPENING_AT_ONCE = 64,
    /* Source addresses in turn: each holds a whole range of ports in TIME_WAIT. */
    SOURCES = 16,
    /* Beyond this the proxy is broken and the run says so. */
    MOST_FAILURES = 100,
    HOLD_SECONDS = 120,
    /* Histogram: 64 steps to each power of two, so a percentile is exact to 1.6%. */
    STEPS = 64,
    BUCKETS = 40 * STEPS,
};

struct tunnel {
    int fd;
    enum state state;
    int step;     /* of coming in: answers heard so far */
    int requests; /* gets: answers on this connection so far */
    uint64_t began, sent, received;
    size_t filled;
    unsigned char *bytes; /* a head, an answer or a message, as it arrives */
};

static const char *const mode_names[MODES] = {"bulk-down", "bulk-up", "pingpong", "connects",
                                              "gets",      "idle",    "stall"};
static enum mode mode;
static enum phase phase = OPENING;
static enum entry entry = ENTRY_CONNECT;
static int direct, poller, count = 1, announces;
static double seconds = 2, warmup = 0.3, patience = 3, setup = 60;
static struct sockaddr_in proxy, origins[16];
static int origin_count;
static struct tunnel *tunnels;
static int open_count, opening_count, next_to_open, under_way;
static uint64_t exchanges, failures, reconnects, total, measured_total;
static uint64_t began_ns, opened_ns, measure_ns, end_ns, first_ns, last_ns, first_total, last_total;
static uint64_t histogram[BUCKETS], samples, counted, longest;
static unsigned char arrived[CHUNK];

/* --- measuring ------------------------------------------------------------------------------- */

static void record(uint64_t ns) {
    if (phase != MEASURE && phase != DRAIN) return;
    int shift = ns < 2 * STEPS ? 0 : 57 - __builtin_clzll(ns);
    size_t bucket = (size_t)shift * STEPS + (size_t)(ns >> shift);
    histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    samples++;
    counted += phase == MEASURE; /* a late one belongs to the percentiles, not to the rate */
    if (ns > longest) longest = ns;
}

static double percentile_us(double share) {
    uint64_t wanted = (uint64_t)(share * (double)samples), seen = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        seen += histogram[bucket];
        if (seen > wanted) {
            size_t shift = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;
            return (double)((bucket - shift * STEPS) << shift) / 1e3;
        }
    }
    return (double)longest / 1e3;
}

static void moved(uint64_t bytes) {
    uint64_t now = clock_ns();
    total += bytes;
    if (phase != MEASURE) return;
    measured_total += bytes;
    if (!first_ns) first_ns = now, first_total = total;
    last_ns = now, last_total = total;
}

/* From the first arrival to the last; where bytes come in few lumps, by the whole of the time. */
static double bulk_rate(double span) {
    double between = (double)(last_ns - first_ns) / 1e9;
    if (between < span / 2) return (double)measured_total / span;
    return (double)(last_total - first_total) / between;
}

static void print_result(void) {
    int is_bulk = mode == BULK_DOWN || mode == BULK_UP;
    if (is_bulk && !measured_total) stalled("the transfer stood still");
    double span = (double)(end_ns - measure_ns) / 1e9;
    printf("{\"mode\": \"%s\", \"tunnels\": %d, \"direct\": %s", mode_names[mode], count,
           direct ? "true" : "false");
    printf(", \"failures\": %lu, \"reconnects\": %lu", failures, reconnects);
    if (is_bulk) {
        printf(", \"bytes\": %lu, \"bytes_per_second\": %.0f", total, bulk_rate(span));
    } else if (mode == IDLE || mode == STALL) {
        printf(", \"ready\": %d, \"opened_per_second\": %.0f", open_count,
               open_count / ((double)(opened_ns - began_ns) / 1e9));
    } else {
        printf(", \"exchanges\": %lu, \"per_second\": %.1f", counted, (double)counted / span);
        printf(", \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f",
               percentile_us(0.5), percentile_us(0.9), percentile_us(0.99), percentile_us(0.999),
               (double)longest / 1e3);
    }
    puts("}");
    fflush(stdout);
}

/* --- opening --------------------------------------------------------------------------------- */

static void watch(struct tunnel *tunnel, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = tunnel};
    if (epoll_ctl(poller, operation, tunnel->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
}

static const struct sockaddr_in *origin_of(const struct tunnel *tunnel) {
    return &origins[(tunnel - tunnels) % origin_count];
}

static void start(struct tunnel *tunnel) {
    static uint32_t turn;
    const struct sockaddr_in *to = direct ? origin_of(tunnel) : &proxy;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000002u + turn++ % SOURCES);
    tunnel->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (tunnel->fd < 0) die("socket: %s", strerror(errno));
    set_option(tunnel->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(tunnel->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (bind(tunnel->fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind: %s", strerror(errno));
    if (!tunnel->bytes && !(tunnel->bytes = malloc(HEAD))) die("out of memory");
    tunnel->state = CONNECTING;
    tunnel->began = clock_ns();
    tunnel->sent = tunnel->received = 0;
    tunnel->filled = 0;
    tunnel->step = tunnel->requests = 0;
    opening_count++;
    if (connect(tunnel->fd, (const struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    watch(tunnel, EPOLL_CTL_ADD, EPOLLOUT);
}

static void stop(struct tunnel *tunnel) {
    if (tunnel->state == OPEN) open_count--;
    else opening_count--;
    close(tunnel->fd);
    tunnel->state = CLOSED;
}

/* connects and gets go on with a new one; elsewhere a lost tunnel makes the figure meaningless. */
static void fail(struct tunnel *tunnel, const char *reason) {
    failures++;
    if ((mode != CONNECTS && mode != GETS) || failures > MOST_FAILURES)
        die("%s, %lu failures, %lu exchanges done", reason, failures, exchanges);
    stop(tunnel);
    start(tunnel);
}

static void send_whole(struct tunnel *tunnel, const void *bytes, size_t size) {
    ssize_t sent = send(tunnel->fd, bytes, size, 0);
    if (sent < 0 && (errno == ECONNRESET || errno == EPIPE)) return; /* reading tells the rest */
    if (sent != (ssize_t)size) die("a small message was not taken whole");
}

static void send_message(struct tunnel *tunnel) {
    tunnel->began = clock_ns();
    tunnel->filled = 0;
    send_whole(tunnel, pattern_at(tunnel->sent), MESSAGE);
}

static void send_get(struct tunnel *tunnel) {
    tunnel->began = clock_ns();
    tunnel->filled = 0;
    char host[64], target[128] = "/", request[ENTRY_REQUEST];
    address_text(host, sizeof host, origin_of(tunnel));
    if (!direct && entry != ENTRY_FORWARD) snprintf(target, sizeof target, "http://%s/", host);
    send_whole(tunnel, request, http_request(request, "GET", target, host));
}

/* The tunnels of a fixed set start together, so that none has a head start. */
static void go(struct tunnel *tunnel) {
    if (mode == BULK_DOWN) send_whole(tunnel, "g", 1);
    else if (mode == BULK_UP) watch(tunnel, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    else if (mode == PINGPONG) send_message(tunnel);
}

static void opened(struct tunnel *tunnel) {
    tunnel->state = OPEN;
    tunnel->filled = 0;
    opening_count--;
    open_count++;
    watch(tunnel, EPOLL_CTL_MOD, mode == STALL ? 0 : EPOLLIN);
    if (mode == CONNECTS || mode == IDLE) send_whole(tunnel, "e", 1);
    else if (mode == STALL) send_whole(tunnel, "g", 1);
    else if (mode == GETS) send_get(tunnel);
}

static void ask(struct tunnel *tunnel) {
    char request[ENTRY_REQUEST];
    tunnel->filled = 0;
    send_whole(tunnel, request, entry_request(entry, tunnel->step, origin_of(tunnel), request));
}

static void connected(struct tunnel *tunnel) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(tunnel->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        fail(tunnel, strerror(error));
    } else if (direct || mode == GETS || !entry_steps[entry]) {
        opened(tunnel);
    } else {
        tunnel->state = HANDSHAKE;
        watch(tunnel, EPOLL_CTL_MOD, EPOLLIN);
        ask(tunnel);
    }
}

/* Adds what arrived to the tunnel's bytes, ended by NUL for the string functions; 0 at the end. */
static ssize_t fill(struct tunnel *tunnel) {
    ssize_t size = recv(tunnel->fd, tunnel->bytes + tunnel->filled, HEAD - 1 - tunnel->filled, 0);
    if (size > 0) tunnel->filled += (size_t)size;
    tunnel->bytes[tunnel->filled] = 0;
    return size < 0 && would_block() ? -1 : size > 0 ? size : 0;
}

static void handshake(struct tunnel *tunnel) {
    if (fill(tunnel) == 0) {
        fail(tunnel, "closed before the entry answered");
        return;
    }
    ssize_t size = entry_answer(entry, tunnel->step, tunnel->bytes, tunnel->filled);
    if (size == ANSWER_UNFINISHED) return;
    if (size == ANSWER_REFUSED) fail(tunnel, "the entry refused");
    else if ((size_t)size != tunnel->filled) fail(tunnel, "bytes after the entry's answer that nobody sent");
    else if (++tunnel->step < entry_steps[entry]) ask(tunnel);
    else opened(tunnel);
}

/* --- the scenarios --------------------------------------------------------------------------- */

static void take_bulk(struct tunnel *tunnel) {
    ssize_t size = recv(tunnel->fd, arrived, CHUNK, 0);
    if (size < 0 && would_block()) return;
    if (size <= 0) die("the tunnel ended during the transfer");
    if (memcmp(arrived, pattern_at(tunnel->received), (size_t)size))
        die("wrong bytes at %lu", tunnel->received);
    tunnel->received += (uint64_t)size;
    moved((uint64_t)size);
}

static void push_bulk(struct tunnel *tunnel) {
    ssize_t size = send(tunnel->fd, pattern_at(tunnel->sent), CHUNK, 0);
    if (size > 0) tunnel->sent += (uint64_t)size;
    else if (!would_block()) die("the tunnel ended during the transfer");
}

/* The sink's reports: a running total each, so that only the last whole one counts. */
static void take_reports(struct tunnel *tunnel) {
    uint64_t report;
    ssize_t size = fill(tunnel);
    if (size == 0) die("the tunnel ended during the transfer");
    if (size < 0 || tunnel->filled < sizeof report) return;
    size_t whole = tunnel->filled / sizeof report * sizeof report;
    memcpy(&report, tunnel->bytes + whole - sizeof report, sizeof report);
    if (report == UINT64_MAX || report > tunnel->sent) die("the origin got wrong bytes");
    moved(report - tunnel->received);
    tunnel->received = report;
    tunnel->filled -= whole;
    memmove(tunnel->bytes, tunnel->bytes + whole, tunnel->filled);
}

/* Counts a finished exchange; 0 when the run is over and no other is to follow. */
static int exchanged(const struct tunnel *tunnel) {
    record(clock_ns() - tunnel->began);
    exchanges++;
    under_way -= phase == DRAIN;
    return phase != DRAIN;
}

static void take_pong(struct tunnel *tunnel) {
    ssize_t size = fill(tunnel);
    if (size == 0) die("the tunnel ended during the exchange");
    if (size < 0 || tunnel->filled < MESSAGE) return;
    if (tunnel->filled != MESSAGE || memcmp(tunnel->bytes, pattern_at(tunnel->sent), MESSAGE))
        die("wrong bytes came back");
    tunnel->sent += MESSAGE;
    if (exchanged(tunnel)) send_message(tunnel);
}

static void take_echo(struct tunnel *tunnel) {
    ssize_t size = fill(tunnel);
    if (size < 0) return;
    if (size != 1 || tunnel->bytes[0] != 'e') {
        fail(tunnel, "the byte did not come back");
        return;
    }
    if (mode == IDLE) {
        exchanges++;
        return;
    }
    int again = exchanged(tunnel);
    stop(tunnel);
    if (again) start(tunnel);
}

static void reconnect(struct tunnel *tunnel) {
    reconnects++;
    stop(tunnel);
    start(tunnel);
}

static void take_answer(struct tunnel *tunnel) {
    ssize_t size = fill(tunnel);
    if (size < 0) return;
    char *head = (char *)tunnel->bytes, *blank = strstr(head, "\r\n\r\n");
    if (size == 0) {
        if (tunnel->requests && !tunnel->filled) reconnect(tunnel);
        else fail(tunnel, "closed before the answer");
        return;
    }
    if (!blank || tunnel->filled < (size_t)(blank + 4 - head) + HTTP_BODY) return;
    *blank = 0;
    char *length = strcasestr(head, "\r\nContent-Length:");
    if (!http_succeeded(tunnel->bytes) || (length && atoi(length + 17) != HTTP_BODY) ||
        tunnel->filled != (size_t)(blank + 4 - head) + HTTP_BODY ||
        memcmp(blank + 4, pattern, HTTP_BODY)) {
        fail(tunnel, "a wrong answer");
        return;
    }
    tunnel->requests++;
    if (!exchanged(tunnel)) stop(tunnel);
    else if (!length || strcasestr(head, "\r\nConnection: close") || strncmp(head, "HTTP/1.0", 8) == 0)
        reconnect(tunnel);
    else send_get(tunnel);
}

static void serve(struct tunnel *tunnel, uint32_t events) {
    static void (*const taking[MODES])(struct tunnel *) = {
        take_bulk, take_reports, take_pong, take_echo, take_answer, take_echo, take_bulk};
    if (tunnel->state == CONNECTING) connected(tunnel);
    else if (tunnel->state == HANDSHAKE) handshake(tunnel);
    else if (mode == STALL) die("the tunnel ended while it was stalled");
    else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) taking[mode](tunnel);
    if (tunnel->state == OPEN && mode == BULK_UP && events & EPOLLOUT) push_bulk(tunnel);
}

/* --- the run --------------------------------------------------------------------------------- */

static int all_ready(void) {
    if (mode == CONNECTS || mode == GETS) return next_to_open == count;
    return open_count == count && (mode != IDLE || exchanges == (uint64_t)count);
}

static void advance(uint64_t now) {
    while (phase == OPENING && next_to_open < count && opening_count < OPENING_AT_ONCE) start(&tunnels[next_to_open++]);
    if (phase == OPENING && all_ready()) {
        phase = WARMUP;
        opened_ns = now;
        if (mode == IDLE || mode == STALL) phase = OVER;
        else if (mode != CONNECTS && mode != GETS) for (int i = 0; i < count; i++) go(&tunnels[i]);
    } else if (phase == OPENING && (double)(now - began_ns) / 1e9 > setup) {
        stalled("only %d of %d tunnels opened in %g s", open_count, count, setup);
    } else if (phase == WARMUP && (double)(now - opened_ns) / 1e9 >= warmup) {
        phase = MEASURE;
        measure_ns = now;
        if (announces) printf("{\"measuring\": %lu}\n", total), fflush(stdout);
    } else if (phase == MEASURE && (double)(now - measure_ns) / 1e9 >= seconds) {
        phase = mode == BULK_DOWN || mode == BULK_UP ? OVER : DRAIN;
        end_ns = now;
        under_way = count;
    } else if (phase == DRAIN && !under_way) {
        phase = OVER;
    } else if (phase == DRAIN && (double)(now - end_ns) / 1e9 >= patience) {
        stalled("%d of %d exchanges never ended", under_way, count);
    }
}

static void hold(void) {
    char byte;
    print_result();
    alarm(HOLD_SECONDS);
    while (read(STDIN_FILENO, &byte, 1) > 0) continue;
}

static void run(void) {
    static struct epoll_event events[EVENTS];
    began_ns = clock_ns();
    while (phase != OVER) {
        advance(clock_ns());
        int ready = epoll_wait(poller, events, EVENTS, 10);
        for (int i = 0; i < ready; i++) serve(events[i].data.ptr, events[i].events);
    }
    if (mode == IDLE || mode == STALL) hold();
    else print_result();
    struct linger at_once = {.l_onoff = 1};
    for (int i = 0; i < count; i++)
        if (tunnels[i].state != CLOSED)
            setsockopt(tunnels[i].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void parse_addresses(char *text, struct sockaddr_in *addresses, int *found, int most) {
    char *colon = strchr(text, ':');
    if (!colon) die("not HOST:PORT: %s", text);
    *colon = 0;
    for (char *port = strtok(colon + 1, ","); port && *found < most; port = strtok(NULL, ","))
        addresses[(*found)++] = loopback_address(text, atol(port));
}

static double number(const char *text, double most) {
    char *end;
    double value = strtod(text, &end);
    if (*end || !(value >= 0) || value > most) die("not a number up to %g: %s", most, text);
    return value;
}

static enum entry entry_named(const char *name) {
    for (enum entry found = 0; found < ENTRIES; found++)
        if (!strcmp(name, entry_names[found])) return found;
    die("not an entry: %s", name);
}

static void parse_arguments(int argc, char **argv) {
    int proxies = 0;
    for (mode = 0; argc > 1 && mode < MODES && strcmp(argv[1], mode_names[mode]); mode++) continue;
    if (argc < 2 || mode == MODES) die("usage: loadgen MODE --proxy P --origin O; see the source");
    for (int i = 2; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--proxy") && !strcmp(argv[i + 1], "direct")) direct = 1;
        else if (!strcmp(argv[i], "--proxy")) parse_addresses(argv[i + 1], &proxy, &proxies, 1);
        else if (!strcmp(argv[i], "--origin")) parse_addresses(argv[i + 1], origins, &origin_count, 16);
        else if (!strcmp(argv[i], "--tunnels")) count = (int)number(argv[i + 1], 20000);
        else if (!strcmp(argv[i], "--seconds")) seconds = number(argv[i + 1], 60);
        else if (!strcmp(argv[i], "--warmup")) warmup = number(argv[i + 1], 10);
        else if (!strcmp(argv[i], "--patience")) patience = number(argv[i + 1], 60);
        else if (!strcmp(argv[i], "--setup")) setup = number(argv[i + 1], 60);
        else if (!strcmp(argv[i], "--announce")) announces = (int)number(argv[i + 1], 1);
        else if (!strcmp(argv[i], "--entry")) entry = entry_named(argv[i + 1]);
        else die("unknown option %s", argv[i]);
    }
    if (!origin_count || count < 1 || direct == proxies) die("--proxy, --origin and --tunnels >= 1 are needed");
}

int main(int argc, char **argv) {
    settle_process();
    parse_arguments(argc, argv);
    tunnels = calloc((size_t)count, sizeof *tunnels);
    if (!tunnels) die("out of memory");
    poller = epoll_create1(EPOLL_CLOEXEC);
    run();
    return 0;
}
