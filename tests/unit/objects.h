/* SPDX-License-Identifier: GPL-2.0-only */
/* objects: opens an object of tests/unit/objects and reads its schema, without a kernel. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include <bpf/libbpf.h>

#include "label.h"
#include "object.h"
#include "schema.h"

/* The schema of "name" (of name.bpf.o); fails the test when it has none. The object is the caller's to close. */
static inline struct bpf_object *object_schema(const char *name, struct schema *schema)
{
	char path[256], why[512] = "";
	struct bpf_object *object;

	snprintf(path, sizeof(path), "%s/%s.bpf.o", TEST_OBJECTS, name);
	object = object_open_file(path, false, why, sizeof(why));
	if (!object)
		fail_msg("%s: %s", path, why);
	if (schema_read(schema, object, NULL, why, sizeof(why)))
		fail_msg("%s: %s", path, why);
	return object;
}

static inline const struct table *table_named(const struct schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->nr_tables; i++)
		if (!strcmp(schema->tables[i].name, name))
			return &schema->tables[i];
	fail_msg("no table %s", name);
	return NULL;
}
