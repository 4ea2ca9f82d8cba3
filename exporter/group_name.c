/* SPDX-License-Identifier: GPL-2.0-only */
/* group_name: from a cgroup's path to the labels that its users know it by. */
#include <stdbool.h>
#include <string.h>

#include "label.h"
#include "label_cgroup.h"

static bool ends_with(const char *text, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && !memcmp(text + len - n, suffix, n);
}

/* The unit a path belongs to: its last one, but a user's own manager owns all that it starts. */
static const char *unit_of_path(const char *path, size_t *len)
{
	static const char *const suffixes[] = { ".service", ".scope", ".mount", ".socket" };
	const char *unit = NULL;

	for (const char *element = path; *element;) {
		size_t n = strcspn(element, "/");

		for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++)
			if (ends_with(element, n, suffixes[i])) {
				unit = element;
				*len = n;
			}
		if (unit == element && !strncmp(element, "user@", 5))
			break;
		element += n + !!element[n];
	}
	return unit;
}

/* The one place that names a group. Sources are tried in order; the last one always answers. */
void group_labels_of_path(struct buffer *out, const char *path)
{
	size_t len = 0;
	const char *unit = unit_of_path(path, &len);

	if (unit)
		label_add(out, "unit", unit, len);
	else
		label_add(out, "cgroup", path, strlen(path));
}

bool path_is_pod(const char *path)
{
	return strstr(path, "kubepods") && (strstr(path, "/pod") || strstr(path, "-pod"));
}
