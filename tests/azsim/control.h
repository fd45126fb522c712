#ifndef AZSIM_CONTROL_H
#define AZSIM_CONTROL_H

/*
 * control -- how a test turns the simulator's knobs: /_azsim/..., from loopback, over plain HTTP.
 *
 * Words come as the query (?a=b&c=d) or as a JSON object in the body.
 *
 *   GET    /_azsim/ping
 *   POST   /_azsim/fault     words of fault.h; answers {"id":N}
 *   GET    /_azsim/fault?id= {"hits":N}
 *   DELETE /_azsim/fault     ?id=N, or all
 *   GET    /_azsim/log       lines of journal.h; ?NAME=VALUE filters by a field, ?has=TEXT by any
 *                            text, ?count=1 answers how many
 *   DELETE /_azsim/log
 *   POST   /_azsim/knob      NAME=N of sim.h
 *   GET    /_azsim/knob
 *   GET    /_azsim/stats
 *   POST   /_azsim/account   name=, key=, shared_key=on|off, network=allow|deny, public=on|off,
 *                            https_only=on|off: of an account that exists
 *   POST   /_azsim/role      words of people.h
 *   DELETE /_azsim/role      ?oid=, or all
 *   POST   /_azsim/app       client_id=, and secret=, federated=, expired=0|1 from now on
 *   POST   /_azsim/acl       words of acl.h
 *   DELETE /_azsim/acl       all
 *   POST   /_azsim/plane     kind=workspace|datastore|asset|model|vault|secret|grant and words of
 *                            plane.h
 *   DELETE /_azsim/plane     the grants: ?oid=, or all
 *   POST   /_azsim/token     a token with these claims: oid, aud, tid, appid, idtyp, exp, nbf
 *                            (seconds from now); answers the token as text
 *   PUT    /_azsim/blob/ACCOUNT/CONTAINER/NAME    ?md5=TEXT stores a Content-MD5, ?dir=1 a
 *                            directory, ?meta.NAME=VALUE metadata; makes the container
 *   GET    /_azsim/blob/ACCOUNT/CONTAINER/NAME    the bytes, whoever may read them
 *   DELETE /_azsim/blob/ACCOUNT/CONTAINER/NAME
 *   PUT    /_azsim/container/ACCOUNT/CONTAINER
 *   POST   /_azsim/synthetic account=, container=, name=, size=[, count=]
 */

#include "exchange.h"

#define CONTROL_PATH	"/_azsim/"

int	control_handle(struct exchange *);
/* "ACCOUNT/CONTAINER/NAME=SIZE", or with many != 0 "ACCOUNT/CONTAINER/PREFIX=COUNT,SIZE". */
int	control_add_synthetic(struct sim *, const char *text, int many);
/* "name=,key=,tenant=,hns=,gen1=,shared_key=,network=,public=,https_only="; -1: bad words. */
int	control_add_account(struct sim *, const char *text);

#endif
