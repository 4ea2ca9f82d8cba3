/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * syscall_work READONLY: makes system calls fail, a known number of times for each reason, and prints
 * "ERRNO TIMES" for what it saw itself; READONLY is a folder where nothing can be written. Then come
 * failures that are nobody's shortage: of those it prints nothing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Calls until `times` failures of this kind were seen; a kernel that fails otherwise says so. */
#define EXPECT(error, times, call) do { \
		int _seen = 0; \
		for (int _i = 0; _i < (times); _i++) \
			_seen += (call) == -1 && errno == (error); \
		printf("%s %d\n", #error, _seen); \
	} while (0)

static struct timespec soon(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 2000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void too_many_files(void)
{
	struct rlimit old, few = { 3, 3 };

	getrlimit(RLIMIT_NOFILE, &old);
	few.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	EXPECT(EMFILE, 5, open("/dev/null", O_RDONLY));
	setrlimit(RLIMIT_NOFILE, &old);
}

static int too_many_groups(int fd, int i)
{
	struct ip_mreqn group = { .imr_multiaddr.s_addr = htonl(0xe8010000 + i),
				  .imr_address.s_addr = htonl(INADDR_LOOPBACK) };

	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
}

/* A key's content counts against its user's quota; root has one that is too large to fill. */
static void over_quota(void)
{
	static char text[25000];

	if (!fork()) {
		if (setresuid(65534, 65534, 65534))
			_exit(1);
		EXPECT(EDQUOT, 2, syscall(SYS_add_key, "user", "bpf_exporter_test", text, sizeof(text), -2));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void late_message(void)
{
	struct timespec t = soon();
	char name[64], text[8192];
	mqd_t queue;

	snprintf(name, sizeof(name), "/bpf_exporter_test_%d", getpid());
	queue = mq_open(name, O_RDONLY | O_CREAT | O_EXCL, 0600, NULL);
	if (queue == (mqd_t)-1)
		return;
	mq_unlink(name);
	EXPECT(ETIMEDOUT, 2, mq_timedreceive(queue, text, sizeof(text), NULL, &t));
}

static void not_counted(void)
{
	struct timespec t = { 0, 2000000 };
	uint32_t word = 0;

	for (int i = 0; i < 10; i++) {
		syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0);
		close(-1);
		open("/nowhere", O_RDONLY);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in nowhere = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), full = open("/dev/full", O_WRONLY);
	int memory = open("/proc/self/mem", O_RDONLY);
	char path[512], c = 0;

	if (argc < 2 || fd < 0 || full < 0 || memory < 0)
		return 1;
	alarm(60);
	snprintf(path, sizeof(path), "%s/file", argv[1]);
	EXPECT(ENOSPC, 6, write(full, &c, 1));
	EXPECT(EIO, 4, pread(memory, &c, 1, 0));
	EXPECT(EROFS, 3, open(path, O_WRONLY | O_CREAT, 0600));
	EXPECT(EADDRNOTAVAIL, 7, bind(fd, (void *)&nowhere, sizeof(nowhere)));
	EXPECT(ENOMEM, 8, (int)(long)mmap(NULL, 1UL << 48, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (int i = 1; i <= 20; i++)
		too_many_groups(fd, i);
	EXPECT(ENOBUFS, 9, too_many_groups(fd, 99));
	too_many_files();
	fflush(stdout);
	over_quota();
	late_message();
	not_counted();
	return 0;
}
