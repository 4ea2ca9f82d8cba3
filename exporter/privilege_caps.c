/* SPDX-License-Identifier: GPL-2.0-only */
#include "privilege_parts.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int capabilities_read(uint64_t *effective)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	*effective = data[0].effective | (uint64_t)data[1].effective << 32;
	return 0;
}

void capabilities_bound(uint64_t keep)
{
	for (int capability = 0; capability < 64; capability++)
		if (!(keep & CAPABILITY(capability)))
			prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int capabilities_keep(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	data[0].effective = data[0].permitted = keep;
	data[1].effective = data[1].permitted = keep >> 32;
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

bool privilege_opens_all(void)
{
	uint64_t have = 0;

	capabilities_read(&have);
	return !geteuid() ||
	       have & (CAPABILITY(CAP_DAC_READ_SEARCH) | CAPABILITY(CAP_DAC_OVERRIDE));
}

const char *privilege_capability_name(int capability)
{
	switch (capability) {
	case CAP_DAC_READ_SEARCH:
		return "CAP_DAC_READ_SEARCH";
	case CAP_SYS_ADMIN:
		return "CAP_SYS_ADMIN";
	case CAP_PERFMON:
		return "CAP_PERFMON";
	case CAP_BPF:
		return "CAP_BPF";
	}
	return NULL;
}
