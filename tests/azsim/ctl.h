#ifndef AZSIM_CTL_H
#define AZSIM_CTL_H

/*
 * ctl -- "azsim ctl PORT METHOD PATH [FILE]": one request to a simulator's plain port.
 *
 * For shell tests on machines without curl.  FILE is the body ("-": stdin);
 * further words NAME:VALUE are headers.  The answer's body goes to stdout.
 */

/* The exit status: 0 if the answer was 2xx, 22 if it was not, 1 if there was none. */
int	ctl_main(int argc, char **argv);

#endif
