/*
 * Records of staged files and of renames that were under way, of an earlier process: what is taken
 * is written again as it was, and a rename is undone only inside of the staging directory.
 */

#include "base/sys.h"
#include "fuzz.h"
#include "mount/staged_state.c"

#define DIR	"/dev/shm/amlshim-fuzz-staged.%d"

static char dir[64];

static void
tidy(void)
{
	fd_remove_tree(dir, NULL);
}

static int
staging(void)
{
	static int fd = -1;

	if (fd < 0) {
		str_format(dir, sizeof(dir), DIR, (int)getpid());
		must(fd_mkdir_p(dir, 0700, NULL) == 0);
		must((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
		atexit(tidy);
	}
	return (fd);
}

static void
record(struct writer *w, const void *data, size_t len)
{
	struct staged_record r, again;
	struct staged s;

	must(state_put(w->state, STATE_STAGED, 2, data, len) == 0);
	if (read_record(w, 2, &r) != 0)
		return;
	must(memchr(r.etag, '\0', sizeof(r.etag)) != NULL);
	memset(&s, 0, sizeof(s));
	set_flags(&s, &r);
	make_record(&s, &again);
	must(strcmp(again.etag, r.etag) == 0);
	must((again.flags & (EXISTS | WHOLE | DIRTY | SENDING | UNLINKED)) ==
	    (r.flags & (EXISTS | WHOLE | DIRTY | SENDING | UNLINKED)));
	must(again.sent_size == ((r.flags & SENDING) != 0 ? r.sent_size : 0));
}

/* "to" is a file in the staging directory, or somewhere else: then it stays. */
static void
move(struct writer *w, const char *to, size_t len)
{
	struct tree *t = w->opt.tree;
	struct inode *i = tree_find(t, &t->root, "from");
	char outside[96];
	int fd;

	if (i == NULL)
		i = tree_add(t, &t->root, "from", S_IFREG | 0644);
	str_format(outside, sizeof(outside), "%s.out", dir);
	must((fd = open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) >= 0);
	close(fd);
	tree_note(t, i);
	must(i->node != 0 && state_put(w->state, STATE_MOVE, i->node, to, len) == 0);
	undo_move(w, i->node);
	must(access(outside, F_OK) == 0);
	unlink(outside);
	unlinkat(w->staging_fd, "from", 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct writer w = { .staging = dir, .staging_fd = staging() };
	struct tree_options o = { .prefix = "", .ttl_ms = 60000, .writable = 1 };
	char to[300];

	w.state = o.state = state_open(-1, NULL);
	w.opt.tree = tree_new(&o);
	tree_note_root(w.opt.tree);
	record(&w, data, size < 4096 ? size : 4096);
	move(&w, (const char *)data, size < 1024 ? size : 1024);
	str_format(to, sizeof(to), "../%s.out", strrchr(dir, '/') + 1);
	move(&w, to, strlen(to) + 1);
	tree_free(w.opt.tree);
	state_close(w.state);
	return (0);
}
