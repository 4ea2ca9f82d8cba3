/* SPDX-License-Identifier: GPL-2.0-only */
/* The real daemon for benchmarks: start it, ask it for metrics over one connection, end it. */
#pragma once

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

#include "bench.h"
#include "clock.h"

static char *exporter;
static char **exporter_flags; /* more of them, ended by NULL; or NULL */
static uint16_t port;
static char *body; /* of the last answer */
static size_t body_len, body_size;

/* ---- the daemon ---- */

static inline struct sockaddr_in address(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

/* A port that is free now. */
static inline void pick_port(void)
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

static inline pid_t start(const char *interval, const char *folder)
{
	char listen[64], every[64], dir[512];
	char *argv[32] = { exporter, listen, every, (char *)"--log.level=error", folder ? dir : NULL };
	pid_t parent = getpid(), pid;

	pick_port();
	snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%u", port);
	snprintf(every, sizeof(every), "--ebpf-probe-interval=%s", interval);
	snprintf(dir, sizeof(dir), "--collector.dir=%s", folder ? folder : "");
	for (size_t i = 0; exporter_flags && exporter_flags[i] && i < 24; i++)
		argv[(folder ? 5 : 4) + i] = exporter_flags[i];
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

static inline void stop(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

static inline double status_mb(pid_t pid, const char *name)
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

static inline uint64_t cpu_ns(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used))
		give_up("the daemon has ended");
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* ---- one client ---- */

static inline void have_room(size_t size)
{
	if (size > body_size && !(body = realloc(body, body_size = size * 2)))
		give_up("out of memory");
}

/* The status of GET /metrics, or 0 when the connection fails; the body is in `body`. */
static inline int get(int fd, int gzip)
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

static inline int dial(void)
{
	struct sockaddr_in to = address();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!connect(fd, (void *)&to, sizeof(to)))
		return fd;
	close(fd);
	return -1;
}

/* A connection on which metrics came. */
static inline int dial_ready(pid_t pid)
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
