/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fsync_work: calls that make files durable, a known number of them, in the current folder.
 *
 *	fsync_work calls	7 fsync, 5 fdatasync, 3 msync, 2 syncfs, 4 sync_file_range, and of each one
 *				that fails: 26 in all
 *	fsync_work threads	4 threads with 25 fsyncs each
 *	fsync_work others	system calls whose numbers are those on the other architecture, or near
 *	fsync_work frozen DISK	an fsync of DISK, a device whose file lies on the current folder's filesystem,
 *				which is frozen for 3 s meanwhile; prints "frozen", then the ns it took
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int file(void)
{
	int fd = open("fsync_work.file", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || write(fd, "some text", 9) != 9 || ftruncate(fd, 4096))
		exit(2);
	return fd;
}

static void calls(void)
{
	int fd = file();
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		exit(2);
	for (int i = 0; i < 7; i++)
		fsync(fd);
	for (int i = 0; i < 5; i++)
		fdatasync(fd);
	for (int i = 0; i < 3; i++)
		msync(map, 4096, MS_SYNC);
	for (int i = 0; i < 2; i++)
		syncfs(fd);
	for (int i = 0; i < 4; i++)
		sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE);
	if (!fsync(-1) || !fdatasync(-1) || !msync((char *)map + 1, 1, MS_SYNC) || !syncfs(-1) ||
	    !sync_file_range(-1, 0, 0, 0))
		exit(3);
}

static void *sync_often(void *fd)
{
	for (int i = 0; i < 25; i++)
		fsync((int)(long)fd);
	return NULL;
}

static void threads(void)
{
	pthread_t thread[4];
	int fd = file();

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, sync_often, (void *)(long)fd);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
}

/* All with arguments that no call likes; 74, 75, 26, 306, 277 and 82, 83, 227, 267, 84 are the numbers. */
static void others(void)
{
#ifdef __x86_64__
	static const int numbers[] = { 73, 76, 82, 83, 84, 118, 227, 267, 278, 305, 586 };
#else
	static const int numbers[] = { 26, 74, 75, 81, 85, 118, 228, 268, 277, 394 };
#endif

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		syscall(numbers[i], -1, -1, -1, -1, -1, -1);
}

/* Freezes and thaws whatever becomes of the others: a child of its own session, which nothing kills. */
static void freeze(int folder, int told)
{
	struct timespec end;

	if (ioctl(folder, FIFREEZE, 0))
		_exit(1);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 3;
	setsid();
	if (write(told, "f", 1) != 1)
		end.tv_sec = 0;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL))
		;
	_exit(ioctl(folder, FITHAW, 0) ? 1 : 0);
}

static int frozen(const char *disk)
{
	int folder = open(".", O_RDONLY), fd = open(disk, O_WRONLY), tell[2];
	static char block[65536];
	struct timespec a, b;
	char c;

	if (folder < 0 || fd < 0 || write(fd, block, sizeof(block)) != sizeof(block) || pipe(tell))
		return 2;
	if (!fork())
		freeze(folder, tell[1]);
	close(tell[1]);
	if (read(tell[0], &c, 1) != 1)
		return 3;
	printf("frozen\n");
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (fsync(fd))
		return 4;
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%lld\n", (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec);
	wait(NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	alarm(60);
	if (!strcmp(what, "calls"))
		calls();
	else if (!strcmp(what, "threads"))
		threads();
	else if (!strcmp(what, "others"))
		others();
	else if (!strcmp(what, "frozen") && argc > 2)
		return frozen(argv[2]);
	else
		return 1;
	return 0;
}
