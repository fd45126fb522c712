#ifndef AZSIM_SERVER_H
#define AZSIM_SERVER_H

/*
 * server -- listening sockets, and a thread for each connection.
 */

#include "base/err.h"
#include "sim.h"

/* Listens on host:port (0: any); returns the port, or -1. */
int	server_listen(const char *host, int port, int *ret_fd, struct err *);
/*
 * Accepts until the process ends: plain, TLS with sim->tls, TLS with sim->self_tls (-1: not that
 * one).
 */
#define SERVER_LISTENERS 3
void	server_run(struct sim *, const int listeners[SERVER_LISTENERS]);

#endif
