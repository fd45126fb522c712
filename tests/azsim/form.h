#ifndef AZSIM_FORM_H
#define AZSIM_FORM_H

/*
 * form -- the body of a POST, application/x-www-form-urlencoded.
 */

#include "exchange.h"

/*
 * 0; -1: another content type (ret stays empty); -2: a bad escape, or a field that stands there
 * twice; -3: the body is too long, or broke off.
 */
int	form_read(struct exchange *, struct pairs *ret);

#endif
