#include "init/front.h"

#include "base/log.h"
#include "base/mem.h"

int
front_open(struct front *f, const struct probe_options *probe, int with_control,
    control_answerer *answerer, void *arg, struct err *err)
{
	struct err why = ERR_EMPTY;
	char line[512];

	control_init(&f->control);
	f->probe = (struct probe){ .fd = -1, .listen_fd = -1 };
	f->health = health_new(err);
	if (f->health == NULL)
		return (-1);
	if (with_control && control_open(&f->control, answerer, arg, &why) != 0)
		log_info("%s: amlshim status will not find it", err_line(&why, line,
		    sizeof(line)));
	f->has_probe = probe_is_wanted(probe);
	return (f->has_probe ? probe_start(&f->probe, probe, f->health, err) : 0);
}

void
front_show(struct front *f, enum sup_state phase, int job_runs, int run)
{
	struct health *h = f->health;

	if (h->phase == (int)phase && h->job_runs == job_runs && h->run == run)
		return;
	h->run = run;
	h->job_runs = job_runs;
	h->phase = (int)phase;
	if (f->has_probe)
		probe_nudge(&f->probe);
}

void
front_fill(const struct front *f, struct pollfd *p)
{
	control_fill(&f->control, p);
	p[CONTROL_POLLS] = (struct pollfd){ .fd = f->probe.fd, .events = POLLIN };
}

int
front_handle(struct front *f, const struct pollfd *p)
{
	control_handle(&f->control, p);
	return (p[CONTROL_POLLS].revents != 0 && probe_read(&f->probe));
}

int64_t
front_next_ms(const struct front *f)
{
	return (f->probe.again_ms);
}

void
front_tick(struct front *f)
{
	probe_tick(&f->probe);
}

int
front_reaped(struct front *f, pid_t pid)
{
	if (f->probe.pid != pid)
		return (0);
	probe_reaped(&f->probe);
	return (1);
}

pid_t
front_pid(const struct front *f)
{
	return (f->probe.pid);
}

size_t
front_fds(const struct front *f, int *ret)
{
	size_t n = control_fds(&f->control, ret);

	if (f->probe.fd >= 0)
		ret[n++] = f->probe.fd;
	if (f->probe.listen_fd >= 0)
		ret[n++] = f->probe.listen_fd;
	return (n);
}

void
front_close(struct front *f)
{
	control_close(&f->control);
	probe_end(&f->probe);
	health_free(f->health);
	f->health = NULL;
}
