#ifndef MOUNT_STREAM_H
#define MOUNT_STREAM_H

/*
 * stream -- a large staged file as blocks: which the service has, which it lacks, which are
 * on their way.
 *
 * A file of more than one block (STORE_SINGLE_MAX) goes out in blocks.  A block that
 * was written to its last byte is sent at once, in the background, while the job
 * writes on; at the flush only what is still missing is sent, then the list of all
 * blocks, which makes the new version.  Data is read from the staged file when it is
 * sent, so that memory holds none of it: the file is the truth, a block that is
 * written again is sent again, and a background send that fails is no more than a
 * block that the flush has to send (and to complain about).
 *
 * What is known of each block: when it changed last and as of when the service has
 * it, by a clock that counts changes.  A change is noted after the bytes are in the
 * file.  So a block that is read for sending while it is written has either all of
 * the change, or the change is noted after the sending began, and it is sent again.
 *
 * A block is named in a list only under an id that we gave, or that a committed list
 * of the version we started from has (stream_adopt).  The service throws away what a
 * list does not name: no block is on its way while a list is committed, and after it
 * only the ids in it count.  If blocks are gone all the same (another writer's list,
 * a week), all are sent again, once.
 *
 * Where blocks begin is planned by position (store_block_size), or as it is in an
 * adopted list; it does not depend on the file's size, which may grow.
 *
 * One lock for all streams of a mount, innermost but for those of azure/ (which the
 * network thread takes it without).
 */

#include "azure/store.h"

struct streams;
struct stream;

/* in_flight: blocks that are on their way at once, of all files. */
struct streams *streams_new(struct store *, unsigned int in_flight);
/* After the last stream. */
void	streams_free(struct streams *);

/* Of a file of which nothing is known there. */
struct stream *stream_new(struct streams *);
/* What is under way ends by itself. */
void	stream_free(struct stream *);

/*
 * These bytes of the file have changed.  Blocks that end in there are complete, as
 * far as one can tell.  1: there is one, stream_send() has work.
 */
int	stream_changed(struct stream *, int64_t from, int64_t to);
/* All before this is complete: it was written before anybody counted. */
void	stream_complete(struct stream *, int64_t to);
/* These are zeros now, which nobody has written: room that will be written perhaps. */
void	stream_zeroed(struct stream *, int64_t from, int64_t to);
/* The file has this size now, and was longer. */
void	stream_cut(struct stream *, int64_t to);
/* Something is known of the blob of this name.  A file that was renamed is another blob. */
int	stream_knows(struct stream *, const char *name);

/*
 * The file is as this blob of this ETag: what is in its list need not be sent.  A
 * list that cannot be used is no failure.  Nobody writes meanwhile.
 */
void	stream_adopt(struct stream *, const char *name, const char *etag, int64_t size);

/* Send complete blocks in the background, as this blob; fd is duplicated. */
void	stream_send(struct stream *, const char *name, int fd);
/* Nobody wants it any more: begin nothing in the background until a commit. */
void	stream_stop(struct stream *);
/*
 * Make this the blob: size bytes of fd, which nobody cuts meanwhile.  Waits.  Conditions and
 * failures as for store_upload().
 */
int	stream_commit(struct stream *, const char *name, int fd, int64_t size,
	    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *);

#endif
