#include <errno.h>

#include "mount/ops_refuse.h"

void
refuse_link(fuse_req_t req, fuse_ino_t a, fuse_ino_t b, const char *c)
{
	(void)a;
	(void)b;
	(void)c;
	fuse_reply_err(req, EPERM);
}

void
refuse_mknod(fuse_req_t req, fuse_ino_t a, const char *b, mode_t c, dev_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	fuse_reply_err(req, EPERM);
}

void
rofs_setattr(fuse_req_t req, fuse_ino_t a, struct stat *b, int c, struct fuse_file_info *d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	fuse_reply_err(req, EROFS);
}

void
rofs_mknod(fuse_req_t req, fuse_ino_t a, const char *b, mode_t c, dev_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	fuse_reply_err(req, EROFS);
}

void
rofs_mkdir(fuse_req_t req, fuse_ino_t a, const char *b, mode_t c)
{
	(void)a;
	(void)b;
	(void)c;
	fuse_reply_err(req, EROFS);
}

void
rofs_remove(fuse_req_t req, fuse_ino_t a, const char *b)
{
	(void)a;
	(void)b;
	fuse_reply_err(req, EROFS);
}

void
rofs_symlink(fuse_req_t req, const char *a, fuse_ino_t b, const char *c)
{
	(void)a;
	(void)b;
	(void)c;
	fuse_reply_err(req, EROFS);
}

void
rofs_rename(fuse_req_t req, fuse_ino_t a, const char *b, fuse_ino_t c, const char *d,
    unsigned int e)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	(void)e;
	fuse_reply_err(req, EROFS);
}

void
rofs_link(fuse_req_t req, fuse_ino_t a, fuse_ino_t b, const char *c)
{
	(void)a;
	(void)b;
	(void)c;
	fuse_reply_err(req, EROFS);
}

void
rofs_create(fuse_req_t req, fuse_ino_t a, const char *b, mode_t c, struct fuse_file_info *d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	fuse_reply_err(req, EROFS);
}

void
rofs_setxattr(fuse_req_t req, fuse_ino_t a, const char *b, const char *c, size_t d, int e)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	(void)e;
	fuse_reply_err(req, EROFS);
}

void
rofs_write(fuse_req_t req, fuse_ino_t a, const char *b, size_t c, off_t d,
    struct fuse_file_info *e)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	(void)e;
	fuse_reply_err(req, EROFS);
}

void
rofs_removexattr(fuse_req_t req, fuse_ino_t a, const char *b)
{
	(void)a;
	(void)b;
	fuse_reply_err(req, EROFS);
}
