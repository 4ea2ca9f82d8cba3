/* SPDX-License-Identifier: GPL-2.0-only */
/* notify: tells systemd (Type=notify) that the exporter is ready; see sd_notify(3). */
#pragma once

/* Sends "READY=1" to $NOTIFY_SOCKET. Nothing happens, and nothing fails, without one. */
void notify_ready(void);
