/* SPDX-License-Identifier: GPL-2.0-only */
/* poll_parts: what poll.c asks of poll_table.c; all return 0 or -errno. */
#pragma once

#include "poll.h"

#define MAX_RETRIES 1000 /* of a call that was interrupted or is to be made again */

/* Reads the rows that may have changed into the fold, and takes out those that may leave. */
int poll_read_table(struct poller *poller, struct polled_table *t);
/* All rows, in any case; none leaves. */
int poll_read_rows(struct poller *poller, struct polled_table *t);
/* Takes all rows out of a table that is to be filled anew. */
int poll_empty_table(struct poller *poller, struct polled_table *t);
