/* SPDX-License-Identifier: GPL-2.0-only */
/* options_parse: runs options_parse() as main() does and catches what it says. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "options.h"

#define MAX_ARGS 16

/* Arguments without argv[0]; ends with NULL. */
typedef const char *args_t[MAX_ARGS + 1];

/* options_parse() of `args`; what it wrote on stderr goes to *said, to be freed. */
static inline int parse(struct options *options, const args_t args, char **said)
{
	char *argv[MAX_ARGS + 2] = { NULL };
	FILE *file = tmpfile();
	int argc = 1, saved = dup(STDERR_FILENO), err;
	long len;

	memcpy(argv + 1, args, (MAX_ARGS + 1) * sizeof(*args));
	while (argv[argc])
		argc++;
	memset(options, 0xa5, sizeof(*options)); /* as on the stack of main() */
	dup2(fileno(file), STDERR_FILENO);
	err = options_parse(options, argc, argv);
	dup2(saved, STDERR_FILENO);
	close(saved);
	fseek(file, 0, SEEK_END);
	len = ftell(file);
	rewind(file);
	*said = calloc(1, len + 1);
	assert_int_equal(fread(*said, 1, len, file), len);
	fclose(file);
	return err;
}
