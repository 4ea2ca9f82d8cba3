/* SPDX-License-Identifier: GPL-2.0-only */
/* notify: tells systemd (Type=notify) that the exporter is ready; see sd_notify(3). */
#pragma once

/* Connects to $NOTIFY_SOCKET: before privileges are dropped, as no socket is made afterwards.
 * Nothing happens, and nothing fails, without one. */
void notify_open(void);
/* Sends "READY=1" there, and closes it. */
void notify_ready(void);
