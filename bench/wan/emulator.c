/* A long, narrow, lossy line between two network namespaces, over a TUN device in each.
 *
 *   emulator --client NAMESPACE --server NAMESPACE --device NAME --seed N
 *            [--up KEY=VALUE,...] [--down KEY=VALUE,...]
 *
 * `up` is the way from the client's namespace to the server's. Keys, of each way:
 *   delay_ms, jitter_ms   on the way; jitter adds evenly from 0 to that, and keeps the order
 *   rate_bps              bits a second of whole IP packets; 0: no limit
 *   queue_bytes           what may wait for the rate; a packet that finds no room is dropped
 *   loss                  share of packets lost, each by itself
 *   burst_loss, burst_length   share lost in bursts of that mean length (Gilbert's model)
 *   reorder, reorder_ms   share of packets held back so long that others may overtake them
 *
 * What happens to packet number n of a way depends on the seed, the way and n alone: every decision
 * is a hash of them, so that the same seed loses the same numbers whatever else is decided.
 *
 * Prints {"ready": true} when the devices are there. Then takes lines on standard input:
 *   cut MILLISECONDS      drop everything, both ways, for so long from now
 *   stats                 print the counters
 * and prints the counters, both ways, as one JSON object when standard input ends, and ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_PACKET = 65536,
    /* On the way at once: 200 Mbit/s of full packets for four seconds. */
    MOST_HELD = 64 * 1024,
    /* Read in one turn, so that packets that are due do not wait behind a burst that comes in. */
    READS_PER_TURN = 64,
    LINE = 256,
};

static const uint64_t SECOND = 1000000000u, MILLISECOND = 1000000u;

struct packet {
    uint64_t due;
    uint64_t number;
    size_t size;
    unsigned char bytes[];
};

struct counters {
    uint64_t in, in_bytes, out, out_bytes, lost, lost_in_bursts, queue_full, cut, reordered;
    uint64_t delay_sum, delay_most, queue_most, late_most;
};

struct way {
    const char *name;
    int from, to;
    double delay_ms, jitter_ms, rate_bps, queue_bytes;
    double loss, burst_loss, burst_length, reorder, reorder_ms;
    uint64_t salt, number;
    int in_burst;
    /* When the line is free again, and the latest arrival that was decided in order. */
    uint64_t free_at, last_due;
    struct packet *held[MOST_HELD];
    size_t held_count;
    struct counters counters;
};

static struct way up = {.name = "up"}, down = {.name = "down"};
static uint64_t seed = 1, cut_until;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("{\"error\": \"", stdout);
    vprintf(format, arguments);
    puts("\"}");
    fflush(stdout);
    exit(1);
}

static uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* --- decisions ------------------------------------------------------------------------------- */

/* The finaliser of splitmix64. */
static uint64_t mixed(uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

enum purpose { LOSS, BURST, JITTER, REORDER };

/* Evenly in [0, 1): the same for the same seed, way, packet and purpose. */
static double chance(const struct way *way, enum purpose purpose) {
    uint64_t value = mixed(mixed(mixed(seed ^ way->salt) + way->number) + (uint64_t)purpose);
    return (double)(value >> 11) / 9007199254740992.0;
}

/* Gilbert: bad times of `burst_length` packets on average, in which every packet is lost. */
static int lost_in_burst(struct way *way) {
    if (way->burst_loss <= 0) return 0;
    double leave = 1 / way->burst_length;
    double enter = leave * way->burst_loss / (1 - way->burst_loss);
    double drawn = chance(way, BURST);
    way->in_burst = way->in_burst ? drawn >= leave : drawn < enter;
    return way->in_burst;
}

static uint64_t nanoseconds(double milliseconds) { return (uint64_t)(milliseconds * (double)MILLISECOND); }

/* --- packets on their way, as a heap by when they are due ---------------------------------------- */

static int before(const struct packet *a, const struct packet *b) {
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void hold(struct way *way, struct packet *packet) {
    size_t at = way->held_count++;
    for (size_t parent; at && before(packet, way->held[parent = (at - 1) / 2]); at = parent)
        way->held[at] = way->held[parent];
    way->held[at] = packet;
}

static struct packet *take(struct way *way) {
    struct packet *first = way->held[0], *last = way->held[--way->held_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < way->held_count; at = child) {
        if (child + 1 < way->held_count && before(way->held[child + 1], way->held[child])) child++;
        if (!before(way->held[child], last)) break;
        way->held[at] = way->held[child];
    }
    way->held[at] = last;
    return first;
}

/* When a packet of `size` bytes that came now has left by the line's rate; 0 when the queue is full. */
static uint64_t serialised(struct way *way, uint64_t now, size_t size) {
    if (way->rate_bps <= 0) return now;
    uint64_t begins = way->free_at > now ? way->free_at : now;
    double waiting = (double)(begins - now) * way->rate_bps / 8 / (double)SECOND;
    if (waiting + (double)size > way->queue_bytes) return 0;
    if ((uint64_t)waiting > way->counters.queue_most) way->counters.queue_most = (uint64_t)waiting;
    way->free_at = begins + (uint64_t)((double)size * 8 * (double)SECOND / way->rate_bps);
    return way->free_at;
}

/* A lost packet has had its turn on the line: it is lost behind the queue, as on a radio. */
static void came(struct way *way, const unsigned char *bytes, size_t size) {
    uint64_t now = clock_ns();
    struct counters *counters = &way->counters;
    way->number++;
    counters->in++;
    counters->in_bytes += size;
    if (now < cut_until) {
        counters->cut++;
        return;
    }
    int in_burst = lost_in_burst(way);
    uint64_t left = serialised(way, now, size);
    if (!left || way->held_count == MOST_HELD) {
        counters->queue_full++;
        return;
    }
    if (in_burst || chance(way, LOSS) < way->loss) {
        counters->lost++;
        counters->lost_in_bursts += (uint64_t)in_burst;
        return;
    }
    uint64_t due = left + nanoseconds(way->delay_ms + way->jitter_ms * chance(way, JITTER));
    if (chance(way, REORDER) < way->reorder) {
        due += nanoseconds(way->reorder_ms);
        counters->reordered++;
    } else {
        if (due < way->last_due) due = way->last_due;
        way->last_due = due;
    }
    struct packet *packet = malloc(sizeof *packet + size);
    if (!packet) die("out of memory");
    *packet = (struct packet){.due = due, .number = way->number, .size = size};
    memcpy(packet->bytes, bytes, size);
    counters->delay_sum += due - now;
    if (due - now > counters->delay_most) counters->delay_most = due - now;
    hold(way, packet);
}

static void deliver(struct way *way, uint64_t now) {
    while (way->held_count && way->held[0]->due <= now) {
        struct packet *packet = take(way);
        struct counters *counters = &way->counters;
        if (now - packet->due > counters->late_most) counters->late_most = now - packet->due;
        if (now < cut_until) {
            counters->cut++;
        } else if (write(way->to, packet->bytes, packet->size) == (ssize_t)packet->size) {
            counters->out++;
            counters->out_bytes += packet->size;
        } else if (errno != EIO && errno != EINVAL) { /* a device that is down takes nothing */
            die("write to the device: %s", strerror(errno));
        }
        free(packet);
    }
}

static void take_in(struct way *way) {
    static unsigned char bytes[MOST_PACKET];
    for (int turn = 0; turn < READS_PER_TURN; turn++) {
        ssize_t size = read(way->from, bytes, sizeof bytes);
        if (size < 0 && errno != EAGAIN && errno != EIO) die("read of the device: %s", strerror(errno));
        if (size <= 0) return;
        came(way, bytes, (size_t)size);
    }
}

/* --- devices --------------------------------------------------------------------------------- */

/* A TUN device that lives in `namespace` as long as this process holds it. */
static int open_device(const char *namespace, const char *device) {
    char path[LINE];
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(path, sizeof path, "/var/run/netns/%s", namespace);
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    if (home < 0 || there < 0) die("no namespace %s: %s", namespace, strerror(errno));
    if (setns(there, CLONE_NEWNET) < 0) die("setns: %s", strerror(errno));
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) die("/dev/net/tun: %s", strerror(errno));
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    if (ioctl(fd, TUNSETIFF, &request) < 0) die("TUNSETIFF: %s", strerror(errno));
    if (setns(home, CLONE_NEWNET) < 0) die("setns: %s", strerror(errno));
    close(home);
    close(there);
    return fd;
}

/* --- the command line, the counters ------------------------------------------------------------ */

static double number(const char *key, const char *text, double least, double most) {
    char *end;
    double value = strtod(text, &end);
    if (*end || !(value >= least) || value > most) die("%s is not from %g to %g: %s", key, least, most, text);
    return value;
}

static void configure(struct way *way, char *text) {
    const struct {
        const char *key;
        double *value, least, most;
    } keys[] = {
        {"delay_ms", &way->delay_ms, 0, 10000},    {"jitter_ms", &way->jitter_ms, 0, 10000},
        {"rate_bps", &way->rate_bps, 0, 1e11},     {"queue_bytes", &way->queue_bytes, 0, 1e10},
        {"loss", &way->loss, 0, 1},                {"burst_loss", &way->burst_loss, 0, 0.9},
        {"burst_length", &way->burst_length, 1, 1e6}, {"reorder", &way->reorder, 0, 1},
        {"reorder_ms", &way->reorder_ms, 0, 10000},
    };
    const size_t count = sizeof keys / sizeof *keys;
    for (char *rest, *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(word, '=');
        if (!equals) die("not KEY=VALUE: %s", word);
        *equals = 0;
        size_t at = 0;
        while (at < count && strcmp(word, keys[at].key)) at++;
        if (at == count) die("unknown key %s", word);
        *keys[at].value = number(word, equals + 1, keys[at].least, keys[at].most);
    }
}

static void print_way(const struct way *way) {
    const struct counters *c = &way->counters;
    double mean = c->in > c->queue_full + c->lost + c->cut
                      ? (double)c->delay_sum / (double)(c->in - c->queue_full - c->lost - c->cut)
                      : 0;
    printf("\"%s\": {\"in\": %lu, \"in_bytes\": %lu, \"out\": %lu, \"out_bytes\": %lu, \"lost\": %lu, "
           "\"lost_in_bursts\": %lu, \"queue_full\": %lu, \"cut\": %lu, \"reordered\": %lu, "
           "\"mean_ms\": %.3f, \"most_ms\": %.3f, \"queue_most\": %lu, \"late_most_ms\": %.3f}",
           way->name, c->in, c->in_bytes, c->out, c->out_bytes, c->lost, c->lost_in_bursts, c->queue_full,
           c->cut, c->reordered, mean / (double)MILLISECOND, (double)c->delay_most / (double)MILLISECOND,
           c->queue_most, (double)c->late_most / (double)MILLISECOND);
}

static void print_counters(void) {
    printf("{");
    print_way(&up);
    printf(", ");
    print_way(&down);
    puts("}");
    fflush(stdout);
}

static void parse_arguments(int argc, char **argv) {
    const char *client = NULL, *server = NULL, *device = "wan0";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--client")) client = argv[i + 1];
        else if (!strcmp(argv[i], "--server")) server = argv[i + 1];
        else if (!strcmp(argv[i], "--device")) device = argv[i + 1];
        else if (!strcmp(argv[i], "--seed")) seed = strtoull(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--up")) configure(&up, argv[i + 1]);
        else if (!strcmp(argv[i], "--down")) configure(&down, argv[i + 1]);
        else die("unknown option %s", argv[i]);
    }
    if (!client || !server || argc % 2 == 0) die("--client and --server are needed; see the source");
    up.from = down.to = open_device(client, device);
    down.from = up.to = open_device(server, device);
}

/* A word from standard input; 0 at its end. */
static int obey(void) {
    static char line[LINE];
    if (!fgets(line, sizeof line, stdin)) return 0;
    if (!strncmp(line, "cut ", 4)) cut_until = clock_ns() + nanoseconds(strtod(line + 4, NULL));
    else if (!strncmp(line, "stats", 5)) print_counters();
    else die("unknown word: %.20s", line);
    return 1;
}

static void set_timer(int timer) {
    uint64_t due = UINT64_MAX;
    if (up.held_count) due = up.held[0]->due;
    if (down.held_count && down.held[0]->due < due) due = down.held[0]->due;
    struct itimerspec when = {0};
    if (due != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(due / SECOND);
        when.it_value.tv_nsec = (long)(due % SECOND);
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setvbuf(stdin, NULL, _IONBF, 0); /* so that poll sees every line */
    for (struct way *way = &up; way; way = way == &up ? &down : NULL) way->burst_length = 1, way->queue_bytes = 1e9;
    up.salt = mixed(1), down.salt = mixed(2);
    parse_arguments(argc, argv);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timer < 0) die("timerfd: %s", strerror(errno));
    puts("{\"ready\": true}");
    fflush(stdout);
    struct pollfd waiting[] = {{STDIN_FILENO, POLLIN, 0}, {timer, POLLIN, 0}, {up.from, POLLIN, 0}, {down.from, POLLIN, 0}};
    for (;;) {
        set_timer(timer);
        if (poll(waiting, 4, -1) < 0) die("poll: %s", strerror(errno));
        if (waiting[0].revents && !obey()) break;
        uint64_t fired, now = clock_ns();
        if (waiting[1].revents && read(timer, &fired, sizeof fired) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
        deliver(&up, now);
        deliver(&down, now);
        if (waiting[2].revents) take_in(&up);
        if (waiting[3].revents) take_in(&down);
    }
    print_counters();
    return 0;
}
