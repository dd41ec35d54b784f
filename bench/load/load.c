/*
 * The load: WebSocket clients in one thread that cost less than any server they measure. It encodes nothing: loads.mjs
 * passes the bytes of handshakes, frames and expected answers on the standard input, and everything else as arguments
 * "name=number". It prints "began", "ended" and "result {...}", or "open ..." for idle connections, or "error ...".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What the argument "mode" means; loads.mjs describes it. */
enum { CLOSED_LOOP, OPEN_LOOP, FAN_OUT, HANDSHAKES, IDLE };
enum { BUFFER = 1 << 20, EVENTS = 1024, ADDRESSES = 64, BUCKETS = 64 * 60 };
static const uint64_t SECOND = 1000000000, MILLISECOND = 1000000;

struct connection {
  int fd, index;
  uint64_t sent, answered; /* messages */
  size_t out, queued;      /* the offset of the next byte to write in the window, and how many are to be written */
  size_t in;               /* the offset of the next byte of the expected answers */
  uint64_t payload;        /* the number of bytes of the current frame's payload that have not arrived */
  uint8_t head[14];        /* the header of the next frame, as far as it was received */
  int have;
  bool fin, slow, waiting; /* slow: reads slowly, and is not measured; waiting: for EPOLLOUT */
};

static int argument_count, epoll;
static char **arguments;
static struct connection *connections;
static long mode, connection_count, opened, in_flight, window, slow_count, handshakes_count;
static size_t handshake_size, frame_size, answers_size;
static uint8_t *handshakes, *accept_text, *frames, *answers, buffer[BUFFER];
static uint64_t messages, next_slow, first_send, opening, record_from, record_until, scheduled_count;
static uint64_t latencies[BUCKETS], delays[BUCKETS];
static double interval, server_spent; /* between messages in an open loop, in nanoseconds; the server's CPU time */
static bool sending = true;

static void fail(const char *why) {
  printf("error %s%s%s\n", why, errno ? ": " : "", errno ? strerror(errno) : "");
  fflush(stdout);
  _exit(1);
}

static long argument(const char *name) {
  size_t length = strlen(name);
  for (int i = 1; i < argument_count; i++)
    if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=') return atol(arguments[i] + length + 1);
  return 0;
}

/* Bytes of the standard input, repeated so that a stretch of up to one length is contiguous from any offset. */
static uint8_t *input(size_t size, int copies) {
  uint8_t *bytes = calloc(size * copies + 1, 1);
  if (bytes == NULL || (size > 0 && fread(bytes, size, 1, stdin) != 1)) fail("the input is incomplete");
  for (int i = 1; i < copies; i++) memcpy(bytes + i * size, bytes, size);
  return bytes;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * SECOND + time.tv_nsec;
}

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Adds a time to a histogram with 64 buckets for each power of two: they are exact to 1.6 %. See lib/histogram.mjs. */
static void record(uint64_t *histogram, uint64_t time) {
  int shift = time < 64 ? 0 : 57 - __builtin_clzll(time);
  histogram[shift * 64 + (time >> shift)]++;
}

static void print_histogram(const char *name, const uint64_t *histogram) {
  printf(",\"%s\":[[0,0]", name);
  for (int i = 0; i < BUCKETS; i++)
    if (histogram[i] > 0) printf(",[%d,%lu]", i, (unsigned long)histogram[i]);
  printf("]");
}

static void listen_to(struct connection *c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(epoll, operation, c->fd, &event) < 0) fail("epoll_ctl");
}

/* Connects from one of several addresses, because each has a limited number of ports, and sends the handshake. */
static void start_handshake(struct connection *c) {
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002 + c->index % ADDRESSES)};
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(argument("port"))};
  struct timeval patience = {.tv_sec = 10};
  int yes = 1;
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes); /* the port is chosen by `connect` */
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&local, sizeof local) < 0) fail("socket");
  if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0) fail("connect");
  const uint8_t *request = handshakes + c->index % handshakes_count * handshake_size;
  if (handshake_size > 0 && write(c->fd, request, handshake_size) != (ssize_t)handshake_size) fail("the handshake");
}

static void finish_handshake(struct connection *c) {
  static char head[8192];
  size_t length = 0;
  char *end;
  do {
    ssize_t size = recv(c->fd, head + length, sizeof head - 1 - length, 0);
    if (size <= 0) fail("no answer to the handshake");
    length += size;
    head[length] = 0;
    end = strstr(head, "\r\n\r\n");
  } while (end == NULL && length < sizeof head - 1);
  errno = 0;
  if (strncmp(head, "HTTP/1.1 101 ", 13) != 0 || strstr(head, (char *)accept_text) == NULL) fail("no upgrade");
  if (end == NULL || end + 4 != head + length) fail("the server sent something before the first message");
}

static void open_connections(long count) {
  for (; opened < count; opened++) {
    struct connection *c = &connections[opened];
    c->index = opened;
    start_handshake(c);
    if (handshake_size > 0) finish_handshake(c);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    /* Connections begin with different messages, so that a server that keeps the last one gains nothing. */
    c->sent = c->answered = opened % window;
    c->out = c->sent * frame_size;
    c->in = answers_size / window * c->sent;
    c->slow = opened < slow_count;
    listen_to(c, EPOLL_CTL_ADD, c->slow ? 0 : EPOLLIN);
  }
}

static void flush(struct connection *c) {
  while (c->queued > 0) {
    size_t contiguous = 2 * window * frame_size - c->out;
    ssize_t size = write(c->fd, frames + c->out, c->queued < contiguous ? c->queued : contiguous);
    if (size < 0 && errno != EAGAIN) fail("write");
    if (size < 0) break;
    c->queued -= size;
    c->out = (c->out + size) % (window * frame_size);
  }
  errno = 0;
  bool waits = c->queued > 0;
  if (waits != c->waiting) listen_to(c, EPOLL_CTL_MOD, (c->slow ? 0 : EPOLLIN) | (waits ? EPOLLOUT : 0));
  c->waiting = waits;
}

static void send_messages(struct connection *c, uint64_t count) {
  c->sent += count;
  c->queued += count * frame_size;
  flush(c);
}

/* The number of messages that end in these bytes. */
static int count_messages(struct connection *c, const uint8_t *p, size_t size) {
  int count = 0;
  for (const uint8_t *end = p + size; p < end;) {
    if (c->payload > 0) {
      size_t part = c->payload < (uint64_t)(end - p) ? c->payload : (uint64_t)(end - p);
      c->payload -= part;
      p += part;
    } else {
      c->head[c->have++] = *p++;
      int length = c->head[1] & 127, extra = length == 126 ? 2 : length == 127 ? 8 : 0;
      if (c->have < 2 || c->have < 2 + extra + (c->head[1] & 128 ? 4 : 0)) continue;
      c->payload = extra == 0 ? length : 0;
      for (int i = 0; i < extra; i++) c->payload = c->payload << 8 | c->head[2 + i];
      c->fin = c->head[0] & 128;
      if ((c->head[0] & 15) > 2) fail("the server sent a control frame");
      c->have = 0;
    }
    if (c->have == 0 && c->payload == 0 && c->fin) count++;
  }
  return count;
}

/* Compares with the answers that are expected. */
static void check(const struct connection *c, const uint8_t *p, size_t size) {
  for (size_t at = c->in, part; size > 0; p += part, size -= part, at = 0) {
    part = answers_size - at < size ? answers_size - at : size;
    if (memcmp(p, answers + at, part) != 0) fail("an answer differs from what is expected");
  }
}

/* When a message is to be sent in an open loop: its latency begins then, even if it is sent later. */
static uint64_t scheduled(long index, uint64_t nth) {
  return first_send + (nth * connection_count + index) * interval;
}

/* Whether a message is sent in the time that is measured. */
static bool counts(uint64_t due) { return due >= record_from && due < record_until; }

static void receive(struct connection *c, size_t most) {
  ssize_t size = recv(c->fd, buffer, most, 0);
  if (size == 0 || (size < 0 && errno != EAGAIN)) fail("the server closed a connection");
  errno = 0;
  if (size < 0 || c->slow) return;
  if (answers_size > 0) {
    if (!sending || mode == FAN_OUT || c->answered < (uint64_t)(window + in_flight)) check(c, buffer, size);
    c->in = (c->in + size) % answers_size;
  }
  int count = count_messages(c, buffer, size);
  uint64_t time = mode == OPEN_LOOP ? now() : 0;
  for (int i = 0; mode == OPEN_LOOP && i < count; i++) {
    uint64_t due = scheduled(c->index, c->answered + i - c->index % window);
    if (counts(due)) record(latencies, time - due);
  }
  c->answered += count;
  messages += count;
  if (mode == CLOSED_LOOP && sending && count > 0) send_messages(c, count);
}

/* Handshakes: the next connection is opened. */
static void open_next(void) {
  struct connection *c = &connections[opened];
  c->index = opened++;
  start_handshake(c);
  listen_to(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLONESHOT);
}

/* Waits for events once, and handles them. A slow reader takes 4 KiB every 10 ms, and sends if the server reads. */
static void turn(int milliseconds) {
  static struct epoll_event events[EVENTS];
  int count = epoll_wait(epoll, events, EVENTS, milliseconds);
  errno = 0;
  for (int i = 0; i < count; i++) {
    struct connection *c = events[i].data.ptr;
    if (mode == HANDSHAKES) {
      finish_handshake(c);
      messages++;
      if (opened < connection_count) open_next();
      continue;
    }
    if (events[i].events & EPOLLOUT) flush(c);
    if (events[i].events & ~EPOLLOUT) receive(c, BUFFER);
  }
  if (slow_count == 0 || now() < next_slow) return;
  next_slow = now() + 10 * MILLISECOND;
  for (int i = 0; i < slow_count; i++) {
    receive(&connections[i], 4096);
    if (connections[i].queued == 0) send_messages(&connections[i], argument("slowMessages"));
  }
}

/* Open loop: sends what is due. Returns the time until the next message is due, in milliseconds, rounded down. */
static int send_due(void) {
  for (;; scheduled_count++) {
    long index = scheduled_count % connection_count;
    uint64_t due = scheduled(index, scheduled_count / connection_count), time = now();
    if (due > time) return (due - time) / MILLISECOND;
    if (counts(due)) record(delays, time - due);
    send_messages(&connections[index], 1);
  }
}

/* Every sender sends its bursts, and everything arrives. Bursts arrive separately, as those of different people do. */
static void fan_out(void) {
  static uint64_t expected;
  long burst = argument("burst"), bursts = argument("bursts"), senders = argument("senders");
  expected += senders * burst * bursts * (connection_count - argument("except"));
  for (long i = 0; i < bursts; i++) {
    for (long sender = 0; sender < senders; sender++) send_messages(&connections[sender], burst);
    if (i % 4 == 3) turn(0);
  }
  for (uint64_t until = now() + 30 * SECOND; messages < expected; turn(100))
    if (now() > until) fail("messages are missing");
  if (messages > expected) fail("more messages than were sent");
}

/* Opens all connections, some at a time, and closes them. Only the opening is measured. */
static void open_and_close(void) {
  struct timespec spent;
  clockid_t clock;
  if (clock_getcpuclockid(argument("server"), &clock) != 0) fail("the server's CPU time");
  clock_gettime(clock, &spent);
  double before = spent.tv_sec + spent.tv_nsec / 1e9;
  uint64_t began = now(), finished = messages + connection_count;
  for (opened = 0; opened < in_flight;) open_next();
  for (uint64_t until = now() + 10 * SECOND; messages < finished; turn(100))
    if (now() > until) fail("answers are missing");
  opening += now() - began;
  clock_gettime(clock, &spent);
  server_spent += spent.tv_sec + spent.tv_nsec / 1e9 - before;
  for (long i = 0; i < connection_count; i++) shutdown(connections[i].fd, SHUT_WR);
  for (long i = 0; i < connection_count; i++) {
    if (recv(connections[i].fd, buffer, BUFFER, 0) < 0 && errno != ECONNRESET) fail("the server does not close");
    close(connections[i].fd);
  }
}

static void run(uint64_t until) {
  while (now() < until) {
    if (mode == FAN_OUT) fan_out();
    else if (mode == HANDSHAKES) open_and_close();
    else turn(mode == OPEN_LOOP ? send_due() : slow_count > 0 ? 5 : 50);
  }
}

/* Waits for the answers that are missing, and then for some that should not arrive. */
static void finish(void) {
  sending = false;
  uint64_t until = now() + 10 * SECOND;
  for (struct connection *c = connections + slow_count; c < connections + opened; c++)
    for (; c->answered < c->sent; turn(5))
      if (now() > until) fail("answers are missing");
  for (until = now() + 20 * MILLISECOND; now() < until;) turn(5);
  for (struct connection *c = connections + slow_count; c < connections + opened; c++)
    if (c->answered != c->sent || c->have > 0) fail("more answers than messages");
}

static void say(const char *line) {
  puts(line);
  fflush(stdout);
}

/* Each line of the standard input says how many connections are to be open. */
static int idle(void) {
  for (long count, from; from = opened, scanf("%ld", &count) == 1; say("open")) {
    open_connections(count);
    for (long i = from; i < opened; i++) send_messages(&connections[i], argument("exchange"));
    finish();
  }
  return 0;
}

int main(int count, char **values) {
  argument_count = count;
  arguments = values;
  mode = argument("mode");
  connection_count = argument("connections");
  in_flight = argument("inFlight");
  window = argument("window");
  slow_count = argument("slow");
  handshakes_count = argument("handshakes");
  handshake_size = argument("handshakeSize");
  frame_size = argument("frameSize");
  answers_size = argument("answersSize");
  interval = (double)SECOND / argument("rate");
  handshakes = input(handshake_size * handshakes_count, 1);
  accept_text = input(argument("acceptSize"), 1);
  frames = input(window * frame_size, 2);
  answers = input(answers_size, 1);
  connections = calloc(connection_count, sizeof *connections);
  epoll = epoll_create1(0);
  if (mode == IDLE) return idle();

  if (mode != HANDSHAKES) open_connections(connection_count);
  for (long i = slow_count; mode == CLOSED_LOOP && i < opened; i++) send_messages(&connections[i], in_flight);
  first_send = now();
  record_from = first_send + argument("warmup") * MILLISECOND;
  record_until = record_from + argument("milliseconds") * MILLISECOND;
  run(record_from);
  say("began");
  uint64_t began = now(), before = messages;
  double spent = cpu_seconds();
  opening = server_spent = 0;
  run(began + argument("milliseconds") * MILLISECOND);
  uint64_t took = now() - began, measured = messages - before;
  spent = cpu_seconds() - spent;
  say("ended");
  if (mode == CLOSED_LOOP || mode == OPEN_LOOP) finish();
  printf("result {\"messages\":%lu,\"seconds\":%.6f,\"cpu\":%.6f", (unsigned long)measured, took / 1e9, spent);
  printf(",\"opening\":%.6f,\"server\":%.6f", opening / 1e9, server_spent);
  print_histogram("latencies", latencies);
  print_histogram("delays", delays);
  say("}");
  return 0;
}
