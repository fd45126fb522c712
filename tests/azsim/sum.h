#ifndef AZSIM_SUM_H
#define AZSIM_SUM_H

/*
 * sum -- the checksums of the Blob service: MD5, and its CRC64.
 *
 * The CRC has the reflected polynomial 0x9A6C9329AC4BC9B5, all ones before and
 * after, and travels as eight little-endian bytes in base64
 * (Azure/azure-sdk-for-cpp sdk/storage/azure-storage-common/src/crypt.cpp).
 */

#include <stddef.h>
#include <stdint.h>

#include <bearssl.h>

#include "base/mem.h"

struct sum {
	int	 wants_md5, wants_crc64;
	br_md5_context md5;
	uint64_t crc64;
};

void	sum_init(struct sum *, int wants_md5, int wants_crc64);
void	sum_add(struct sum *, const void *, size_t);
void	sum_md5(const struct sum *, struct buf *ret);	/* base64 */
void	sum_crc64(const struct sum *, struct buf *ret);	/* base64 */

#endif
