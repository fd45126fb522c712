#ifndef AZSIM_SERVER_H
#define AZSIM_SERVER_H

/*
 * server -- listening sockets, and a thread for each connection.
 */

#include "base/err.h"
#include "sim.h"

/* Listens on host:port (0: any); returns the port, or -1. */
int	server_listen(const char *host, int port, int *ret_fd, struct err *);
/* Accepts from both (-1: not that one) until the process ends; tls_fd speaks TLS. */
void	server_run(struct sim *, int plain_fd, int tls_fd);

#endif
