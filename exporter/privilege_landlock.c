/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Landlock: files are opened only to be read and only below a few folders, no TCP address is
 * connected to or listened on any more. By system call, as the headers of Debian 12 are too old.
 */
#include "privilege_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same number on every architecture; since 5.13. */
#define NR_CREATE_RULESET 444
#define NR_ADD_RULE	  445
#define NR_RESTRICT_SELF  446

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH      1

#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR  (1ULL << 3)

/* include/uapi/linux/landlock.h */
struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* Everything that this ABI can forbid. A kernel that is newer than this list forbids no more. */
static struct ruleset everything(int abi)
{
	struct ruleset all = { .fs = (1ULL << 13) - 1 };

	if (abi >= 2)
		all.fs |= 1ULL << 13; /* refer */
	if (abi >= 3)
		all.fs |= 1ULL << 14; /* truncate */
	if (abi >= 4)
		all.net = 3; /* bind and connect TCP */
	if (abi >= 5)
		all.fs |= 1ULL << 15; /* ioctl of devices */
	if (abi >= 6)
		all.scoped = 3; /* abstract sockets and signals of others */
	return all;
}

/* How much of struct ruleset this ABI knows: more than that is E2BIG, unless it is zero. */
static size_t known(int abi)
{
	return abi >= 6 ? sizeof(struct ruleset) : abi >= 4 ? 16 : 8;
}

static int allow_reading(int ruleset, const char *path)
{
	struct path_beneath rule = { .allowed = FS_READ_FILE | FS_READ_DIR };
	int err = 0;

	rule.fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.fd < 0) /* then there is nothing to read there: not for us */
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	if (syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0))
		err = -errno;
	close(rule.fd);
	return err;
}

bool landlock_available(void)
{
	return (int)syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION) > 0;
}

int landlock_restrict(const char *const *paths, size_t n)
{
	int abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset all;
	int fd, err = 0;

	if (abi < 0)
		return -errno;
	all = everything(abi);
	fd = syscall(NR_CREATE_RULESET, &all, known(abi), 0);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < n && !err; i++)
		if (paths[i] && *paths[i])
			err = allow_reading(fd, paths[i]);
	if (!err && syscall(NR_RESTRICT_SELF, fd, 0))
		err = -errno;
	close(fd);
	return err ? err : abi;
}
