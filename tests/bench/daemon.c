/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The real daemon, with all its collectors: daemon EXPORTER start | FOLDER SERIES...
 *
 *	daemon EXPORTER start		from fork to the first scrape that is answered with metrics
 *	daemon EXPORTER serve FOLDER	with FOLDER/SERIES/series.bpf.o: memory, scrapes, idle polls
 *
 * Scrapes come from one client over one connection. Each asks for a generation that nobody has asked
 * for, as every real scrape does: what is measured is rendering, compressing and sending.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "bench.h"
#include "clock.h"

#define IDLE_S 15

static char *exporter;
static uint16_t port;
static char *body; /* of the last answer */
static size_t body_len, body_size;

/* ---- the daemon ---- */

static struct sockaddr_in address(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

/* A port that is free now. */
static void pick_port(void)
{
	struct sockaddr_in at = { 0 };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	port = 0;
	at = address();
	if (bind(fd, (void *)&at, sizeof(at)) || getsockname(fd, (void *)&at, &size))
		give_up("no free port: %m");
	port = ntohs(at.sin_port);
	close(fd);
}

static pid_t start(const char *interval, const char *folder)
{
	char listen[64], every[64], dir[512];
	char *argv[] = { exporter, listen, every, (char *)"--log.level=error", folder ? dir : NULL, NULL };
	pid_t parent = getpid(), pid;

	pick_port();
	snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%u", port);
	snprintf(every, sizeof(every), "--ebpf-probe-interval=%s", interval);
	snprintf(dir, sizeof(dir), "--collector.dir=%s", folder ? folder : "");
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			execv(exporter, argv);
		_exit(127);
	}
	if (pid < 0)
		give_up("fork: %m");
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

static double status_mb(pid_t pid, const char *name)
{
	char path[64], line[256];
	double kb = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		if (!strncmp(line, name, strlen(name)))
			kb = strtod(line + strlen(name) + 1, NULL);
	if (in)
		fclose(in);
	return kb / 1024;
}

static uint64_t cpu_ns(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used))
		give_up("the daemon has ended");
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* ---- one client ---- */

static void have_room(size_t size)
{
	if (size > body_size && !(body = realloc(body, body_size = size * 2)))
		give_up("out of memory");
}

/* The status of GET /metrics, or 0 when the connection fails; the body is in `body`. */
static int get(int fd, int gzip)
{
	static const char plain[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char zipped[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n";
	size_t have = 0, want = 0, head = 0;
	char *end, *length;
	int status = 0;
	ssize_t n;

	if (send(fd, gzip ? zipped : plain, (gzip ? sizeof(zipped) : sizeof(plain)) - 1, MSG_NOSIGNAL) < 0)
		return 0;
	while (!head || have < head + want) {
		have_room(have + 65536);
		n = recv(fd, body + have, body_size - have - 1, 0);
		if (n <= 0)
			return 0;
		have += n;
		body[have] = 0;
		if (!head && (end = strstr(body, "\r\n\r\n"))) {
			head = end + 4 - body;
			length = strcasestr(body, "content-length:");
			want = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
			status = atoi(body + 9);
		}
	}
	body_len = want;
	memmove(body, body + head, want);
	body[want] = 0;
	return status;
}

static int dial(void)
{
	struct sockaddr_in to = address();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!connect(fd, (void *)&to, sizeof(to)))
		return fd;
	close(fd);
	return -1;
}

/* A connection on which metrics came. */
static int dial_ready(pid_t pid)
{
	uint64_t end = monotonic_ns() + 20000000000;
	int fd = -1;

	while (monotonic_ns() < end && !waitpid(pid, NULL, WNOHANG)) {
		if (fd < 0)
			fd = dial();
		if (fd >= 0 && get(fd, 0) == 200)
			return fd;
		usleep(1000);
	}
	give_up("the daemon was not ready within 20 s, or ended");
}

static size_t series_of_body(void)
{
	size_t n = 0;

	for (const char *line = body; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		n += *line != '#';
	return n;
}

/* ---- rows ---- */

static void start_row(void)
{
	double took[5], median;
	size_t n = sizeof(took) / sizeof(*took);

	for (size_t i = 0; i < n; i++) {
		uint64_t begin = monotonic_ns();
		pid_t pid = start("1s", NULL);
		int fd = dial_ready(pid);

		took[i] = (monotonic_ns() - begin) / 1e9;
		close(fd);
		stop(pid);
	}
	median = quantile(took, n, 0.5); /* sorts */
	table_row("start to first ready scrape, all collectors", "0.6 s", median <= 0.6, "%.2f s (median of 5; %.2f to %.2f)", median, took[0], took[n - 1]);
}

static void wait_for_series(int fd, size_t series)
{
	for (int i = 0; i < 200; i++) {
		if (get(fd, 0) == 200 && series_of_body() >= series)
			return;
		usleep(100000);
	}
	give_up("the daemon shows %zu series, not %zu", series_of_body(), series);
}

/* Scrapes each generation once per encoding; in ms. */
static void scrape_all(int fd, size_t n, useconds_t apart, double *plain, double *gzip)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t begin = monotonic_ns();

		if (get(fd, 1) != 200)
			give_up("a scrape failed");
		gzip[i] = (monotonic_ns() - begin) / 1e6;
		begin = monotonic_ns();
		if (get(fd, 0) != 200)
			give_up("a scrape failed");
		plain[i] = (monotonic_ns() - begin) / 1e6;
		usleep(apart);
	}
}

struct served {
	double resident, settled, peak, idle, gzip[3], plain[3]; /* p50, p99, least */
	size_t series, bytes;
};

static void sum_up(double *values, size_t n, double *out)
{
	out[0] = quantile(values, n, 0.5);
	out[1] = quantile(values, n, 0.99);
	out[2] = values[0];
}

static void serve(const char *folder, size_t size, struct served *s)
{
	size_t n = size > 10000 ? 100 : 200;
	double *gzip = calloc(n, sizeof(*gzip)), *plain = calloc(n, sizeof(*plain));
	uint64_t begin, cpu;
	char dir[512];
	pid_t pid;
	int fd;

	snprintf(dir, sizeof(dir), "%s/%zu", folder, size);
	/* memory and idle polls: as it runs in real life */
	pid = start("1s", dir);
	fd = dial_ready(pid);
	wait_for_series(fd, size);
	s->series = series_of_body();
	s->bytes = body_len;
	for (int i = 0; i < 3; i++) {
		if (get(fd, 1) != 200 || get(fd, 0) != 200)
			give_up("a scrape failed");
		if (status_mb(pid, "VmRSS:") > s->resident)
			s->resident = status_mb(pid, "VmRSS:");
		sleep(1);
	}
	sleep(2);
	begin = monotonic_ns();
	cpu = cpu_ns(pid);
	sleep(size > 10000 ? 5 : IDLE_S);
	s->idle = 100.0 * (double)(cpu_ns(pid) - cpu) / (double)(monotonic_ns() - begin);
	s->settled = status_mb(pid, "VmRSS:");
	s->peak = status_mb(pid, "VmHWM:");
	close(fd);
	stop(pid);
	/* scrapes: a generation for each */
	pid = start(size > 10000 ? "300ms" : "50ms", dir);
	fd = dial_ready(pid);
	wait_for_series(fd, size);
	scrape_all(fd, n, size > 10000 ? 300000 : 50000, plain, gzip);
	sum_up(plain, n, s->plain);
	sum_up(gzip, n, s->gzip);
	close(fd);
	stop(pid);
	free(gzip);
	free(plain);
}

static void serve_rows(const char *folder)
{
	struct served a = { 0 }, b = { 0 };

	serve(folder, 10000, &a);
	serve(folder, 100000, &b);
	table_row("1 Hz polling, 10,000 series, idle: of one core", "0.2 %", a.idle <= 0.2,
		  "%.2f %% (100,000 series: %.1f %%)", a.idle, b.idle);
	table_row("resident memory, scraped, 10k / 100k series", "10 / 30 MB", a.resident <= 10 && b.resident <= 30,
		  "%.1f / %.1f MB (%.1f / %.1f when no scrape was in the last 2 s)", a.resident, b.resident,
		  a.settled, b.settled);
	table_row("  its peak, at start or at a scrape", "-", NO_BUDGET, "%.1f / %.1f MB", a.peak, b.peak);
	table_row("gzip scrape p99 over loopback, 10k / 100k series", "5 / 20 ms",
		  a.gzip[1] <= 5 && b.gzip[1] <= 20, "%.1f / %.1f ms (median %.1f / %.1f)", a.gzip[1], b.gzip[1],
		  a.gzip[0], b.gzip[0]);
	table_row("plain scrape p99 over loopback, 10k / 100k series", "5 / 20 ms",
		  a.plain[1] <= 5 && b.plain[1] <= 20, "%.1f / %.1f ms (median %.1f / %.1f; %.1f / %.1f MB)",
		  a.plain[1], b.plain[1], a.plain[0], b.plain[0], a.bytes / 1e6, b.bytes / 1e6);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		give_up("usage: daemon EXPORTER start | serve FOLDER");
	exporter = argv[1];
	if (argc == 3 && !strcmp(argv[2], "start"))
		start_row();
	else if (argc == 4 && !strcmp(argv[2], "serve"))
		serve_rows(argv[3]);
	else
		give_up("usage: daemon EXPORTER start | serve FOLDER");
	return 0;
}
