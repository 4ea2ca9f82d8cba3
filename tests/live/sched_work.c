/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sched_work: processes that switch, on orders from stdin, all on CPU 0.
 *
 *	spin N	   starts N processes that never stop working
 *	threads	   starts a process with two threads, one that works and one that works and sleeps
 *	exits	   starts a process whose two threads end before it does; prints what the kernel says
 *		   of it when it is dead
 *
 * Each answers with a line: pids, or for `exits` pid, threads, and voluntary and involuntary switches by
 * wait4(), then the dead main thread's schedstat. Nothing lives longer than 40 s.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *work(void *rest_ms)
{
	struct timespec now, rest = { 0, (long)rest_ms * 1000000 };

	for (;;) {
		for (int i = 0; i < 1000; i++)
			clock_gettime(CLOCK_MONOTONIC, &now);
		if (rest_ms)
			nanosleep(&rest, NULL);
	}
	return NULL;
}

static void *work_a_little(void *naps)
{
	struct timespec nap = { 0, 1000000 };

	for (long i = 0; i < (long)naps; i++) {
		nanosleep(&nap, NULL);
		sched_yield();
	}
	return NULL;
}

static pid_t start(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(40);
	}
	return pid;
}

static void threads(void)
{
	pthread_t other;

	pthread_create(&other, NULL, work, (void *)1);
	work(NULL);
}

static void exits(void)
{
	pthread_t a, b;

	pthread_create(&a, NULL, work_a_little, (void *)20);
	pthread_create(&b, NULL, work_a_little, (void *)30);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	work_a_little((void *)10);
	exit(0);
}

/* A dead process is a zombie before its last switch: wait until it is off the CPU (field 35, wchan). */
static void read_dead(pid_t pid, char *schedstat, size_t size)
{
	char path[64], text[1024];
	unsigned long wchan = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; !wchan && i < 10000; i++) {
		char *at;

		sched_yield();
		fd = open(path, O_RDONLY);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = 0;
		at = strrchr(text, ')');
		for (int field = 2; at && field < 35; field++)
			at = strchr(at + 1, ' ');
		wchan = at ? strtoul(at, NULL, 10) : 1;
	}
	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	fd = open(path, O_RDONLY);
	n = read(fd, schedstat, size - 1);
	close(fd);
	schedstat[n > 0 ? n : 0] = 0;
}

int main(void)
{
	char order[64], schedstat[128];
	struct rusage usage;
	cpu_set_t first;
	siginfo_t info;
	pid_t pid;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (fgets(order, sizeof(order), stdin)) {
		int n = 0;

		if (sscanf(order, "spin %d", &n) == 1) {
			while (n-- > 0) {
				pid = start();
				if (!pid)
					work(NULL);
				printf("%d ", pid);
			}
			printf("\n");
		} else if (!strcmp(order, "threads\n")) {
			pid = start();
			if (!pid)
				threads();
			printf("%d\n", pid);
		} else if (!strcmp(order, "exits\n")) {
			pid = start();
			if (!pid)
				exits();
			waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
			read_dead(pid, schedstat, sizeof(schedstat));
			wait4(pid, NULL, 0, &usage);
			printf("%d 3 %ld %ld %s", pid, usage.ru_nvcsw, usage.ru_nivcsw, schedstat);
		}
		fflush(stdout);
	}
	return 0;
}
