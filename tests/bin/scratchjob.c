/*
 * scratchjob WORD: the job of an image that has nothing but amlshim and this.
 *
 *   copy    the input's file, upper-cased, to the output's folder as "upper.txt"; says who it is
 *   wait    say "waiting", then end with 7 on SIGTERM (with 1 after a minute)
 *   exit N  end with N
 *
 * Input and output are where AZURE_ML_INPUT_data (a file) and AZURE_ML_OUTPUT_out (a folder) say.
 */

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t asked;

static void
on_term(int sig)
{
	(void)sig;
	asked = 1;
}

static int
copy(void)
{
	const char *from = getenv("AZURE_ML_INPUT_data"), *to = getenv("AZURE_ML_OUTPUT_out");
	FILE *in = from == NULL ? NULL : fopen(from, "r"), *out;
	char path[1024];
	long n = 0;
	int c;

	if (in == NULL) {
		perror(from == NULL ? "AZURE_ML_INPUT_data" : from);
		return (1);
	}
	if (to == NULL || snprintf(path, sizeof(path), "%s/upper.txt", to) >= (int)sizeof(path))
		return (1);
	out = fopen(path, "w");
	if (out == NULL) {
		perror(path);
		return (1);
	}
	for (; (c = getc(in)) != EOF; n++)
		putc(toupper(c), out);
	if (ferror(in) || fclose(out) != 0) {
		perror("copy");
		return (1);
	}
	fclose(in);
	printf("copied %ld bytes, pid %s 1, parent %d\n", n, getpid() == 1 ? "is" : "is not",
	    (int)getppid());
	return (0);
}

static int
wait_for_term(void)
{
	struct sigaction action = { .sa_handler = on_term };
	int i;

	sigaction(SIGTERM, &action, NULL);
	printf("waiting\n");
	fflush(stdout);
	for (i = 0; i < 600 && !asked; i++)
		usleep(100000);
	return (asked ? 7 : 1);
}

int
main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (strcmp(word, "copy") == 0)
		return (copy());
	if (strcmp(word, "wait") == 0)
		return (wait_for_term());
	if (strcmp(word, "exit") == 0 && argc > 2)
		return (atoi(argv[2]));
	fprintf(stderr, "usage: scratchjob copy|wait|exit N\n");
	return (2);
}
