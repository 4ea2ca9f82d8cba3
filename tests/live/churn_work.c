/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * churn_work SECONDS PROGRAM BASE ROOT...: churn at 100 times what a busy node does. Each second 100
 * processes (fork, exec of PROGRAM, exit), 10 cgroups that live five seconds and 100 connections over
 * loopback, half of which end by a reset. Half of the cgroups are ROOT/BASE/soak.service/N, which
 * are one group, the others ROOT/BASE/N, each a group of its own. Prints what it did.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS	  100000000L
#define PROCESSES 10 /* per tick, as connections; one cgroup */
#define LIVES	  50 /* ticks, of a cgroup: polls find it, also late ones */

static const char *program, *base;
static char **roots;
static int nr_roots;
static volatile sig_atomic_t ending;

static void end(int signal)
{
	(void)signal;
	ending = 1;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static const char *folder(const char *root, unsigned long n)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s/%s%lu", root, base, n % 2 ? "" : "soak.service/", n);
	return path;
}

static void make_group(unsigned long n)
{
	for (int i = 0; i < nr_roots; i++)
		if (mkdir(folder(roots[i], n), 0755))
			fail(folder(roots[i], n));
}

/* What a process left may keep a group busy for a moment. */
static void remove_group(unsigned long n)
{
	const struct timespec moment = { .tv_nsec = 10000000 };

	for (int i = 0; i < nr_roots; i++)
		for (int tries = 0; rmdir(folder(roots[i], n)); tries++) {
			if (errno != EBUSY || tries == 500)
				fail(folder(roots[i], n));
			nanosleep(&moment, NULL);
		}
}

static void start_process(unsigned long group)
{
	char path[600];
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		fail("fork");
	if (pid)
		return;
	for (int i = 0; i < nr_roots; i++) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", folder(roots[i], group));
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(99);
		close(fd);
	}
	execl(program, program, (char *)NULL);
	_exit(99);
}

static void await_process(void)
{
	int status;

	while (wait(&status) < 0)
		if (errno != EINTR)
			fail("wait");
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "a process ended with status %#x\n", status);
		exit(1);
	}
}

static int listener(struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	if (fd < 0 || bind(fd, (struct sockaddr *)address, len) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)address, &len))
		fail("listen");
	return fd;
}

static void connect_once(int listening, const struct sockaddr_in *address, int reset)
{
	const struct linger now = { 1, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	    (other = accept(listening, NULL, NULL)) < 0)
		fail("connect");
	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	close(other);
}

int main(int argc, char **argv)
{
	unsigned long tick = 0, first = 0, in_unit = 0, ticks;
	struct sockaddr_in address;
	struct timespec next;
	int listening;

	if (argc < 5)
		return 2;
	ticks = strtoul(argv[1], NULL, 10) * (1000000000L / TICK_NS);
	program = argv[2];
	base = argv[3];
	roots = argv + 4;
	nr_roots = argc - 4;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, end);
	listening = listener(&address);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (; tick < ticks && !ending; tick++) {
		make_group(tick);
		for (int i = 0; i < PROCESSES; i++)
			start_process(tick);
		for (int i = 0; i < PROCESSES; i++) {
			connect_once(listening, &address, i % 2);
			await_process();
		}
		in_unit += tick % 2 ? 0 : PROCESSES;
		if (tick >= LIVES)
			remove_group(first++);
		next.tv_nsec += TICK_NS;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	next.tv_sec += LIVES * TICK_NS / 1000000000; /* the last ones live as long as all */
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	for (; first < tick; first++)
		remove_group(first);
	printf("groups %lu\nprocesses %lu\nin_unit %lu\nresets %lu\n", tick, tick * PROCESSES, in_unit,
	       tick * PROCESSES / 2);
	return 0;
}
