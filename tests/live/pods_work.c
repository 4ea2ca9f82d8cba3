/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pods_work PORT DISK FILE: what a container can do that makes series: processes that end in each way,
 * connections that succeed, fail, are reset and stay open, datagrams that find no room or are dropped by
 * the firewall (port 9), direct I/O on DISK, syncs and failed calls on FILE. Writes "ready\n", then waits
 * for the end of its standard input, so that what it holds open is there to be seen.
 */
#define _GNU_SOURCE /* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in at(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

/* Each kind of end; a signal of 0 is an exit with `status`. */
static void end_by(int signal, int status)
{
	pid_t pid = fork();

	if (!pid) {
		if (signal) {
			struct rlimit none = { 0, 0 };

			setrlimit(RLIMIT_CORE, &none);
			kill(getpid(), signal);
			pause();
		}
		if (!status)
			execl("/bin/true", "true", (char *)NULL);
		_exit(status);
	}
	waitpid(pid, NULL, 0);
}

static int dial(int port)
{
	struct sockaddr_in to = at(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (void *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void tcp(int port)
{
	struct linger hard = { 1, 0 };
	struct sockaddr_in here = at(port);
	int one = 1, fd, other, listener = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (void *)&here, sizeof(here)) || listen(listener, 16)) {
		perror("listen");
		exit(1);
	}
	dial(port + 1); /* refused */
	for (int i = 0; i < 3; i++) {
		fd = dial(port);
		other = accept(listener, NULL, NULL);
		if (i == 0) {
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
			close(fd);
			close(other);
		} else if (i == 1) {
			close(fd);
			close(other);
		} /* else they stay open */
	}
}

static void udp(int port)
{
	struct sockaddr_in here = at(port), dropped = at(9);
	int small = 1, fd = socket(AF_INET, SOCK_DGRAM, 0), to = socket(AF_INET, SOCK_DGRAM, 0);
	char data[1000] = "";

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	bind(fd, (void *)&here, sizeof(here));
	for (int i = 0; i < 20; i++)
		sendto(to, data, sizeof(data), 0, (void *)&here, sizeof(here));
	sendto(to, data, sizeof(data), 0, (void *)&dropped, sizeof(dropped));
	dropped.sin_port = htons(port + 1);
	sendto(to, data, sizeof(data), 0, (void *)&dropped, sizeof(dropped)); /* nobody is there */
	close(to);
}

static void disk(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT);
	void *block = aligned_alloc(4096, 4096);

	if (fd < 0 || !block)
		return;
	memset(block, 1, 4096);
	for (int i = 0; i < 2; i++)
		if (pwrite(fd, block, 4096, i * 4096) != 4096 || pread(fd, block, 4096, i * 4096) != 4096)
			perror(path);
	close(fd);
	free(block);
}

static void files(const char *path)
{
	struct rlimit few = { 3, 64 }, many;
	int fd = open(path, O_CREAT | O_RDWR, 0600), full;

	if (write(fd, "x", 1) == 1)
		fsync(fd);
	close(fd);
	full = open("/dev/full", O_WRONLY);
	if (write(full, "x", 1) == 1)
		abort();
	close(full);
	getrlimit(RLIMIT_NOFILE, &many);
	few.rlim_max = many.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	fd = open(path, O_RDONLY); /* EMFILE */
	setrlimit(RLIMIT_NOFILE, &many);
	if (fd >= 0)
		close(fd);
}

static void *busy(void *arg)
{
	struct timespec begin, now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec < 10000000);
	return NULL;
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGTERM };
	pthread_t thread;
	char byte;

	if (argc != 4)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	end_by(0, 0);
	end_by(0, 3);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		end_by(signals[i], 0);
	tcp(atoi(argv[1]));
	udp(atoi(argv[1]));
	disk(argv[2]);
	files(argv[3]);
	if (!pthread_create(&thread, NULL, busy, NULL)) {
		busy(NULL);
		pthread_join(thread, NULL);
	}
	if (write(1, "ready\n", 6) != 6)
		return 1;
	return read(0, &byte, 1) < 0;
}
