package configs

import (
	"maps"
	"regexp"
	"slices"
	"time"
)

func (q *Queue) validate(v *validator) {
	oneOf(v, "queue.type", q.Type, QueueTypes()...)
	between(v, "queue.lease", q.Lease, time.Second, 12*time.Hour)
	between(v, "queue.max_deliveries", q.MaxDeliveries, 1, maxAttempts)
	between(v, "queue.max_depth", q.MaxDepth, 0, maxDepth)
	between(v, "queue.responses_max", q.ResponsesMax, 0, maxDepth)
}

func (s *Store) validate(v *validator) {
	between(v, "store.ttl", s.TTL, time.Second, maxDuration)
	between(v, "store.dead_letter_ttl", s.DeadLetterTTL, time.Second, maxDuration)
}

// validateQueue checks what the chosen queue wants of the rest of the configuration.
func (c *Config) validateQueue(v *validator) {
	q, known := c.queueType()
	c.validateNames(v, q)
	for _, other := range queueTypes {
		if other.section != nil {
			other.section(c).validate(v)
		}
	}
	if !known {
		return // reported already; nothing can be compared with it
	}
	c.validateLimits(v, q)
	c.validateRemembering(v, q)
	c.validateDivision(v, q)
}

// queueName is what may name a stream. Braces would change the hash slot of a Redis key.
var queueName = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,200}$`)

// validateNames keeps the names apart: what is written to one must not come back through another.
func (c *Config) validateNames(v *validator, q queueType) {
	used := map[string]string{}
	if q.highSuffix != "" {
		used[c.HighRequests()] = "where requests of high priority are"
	}
	for _, n := range []struct{ key, value string }{
		{"queue.requests", c.Queue.Requests},
		{"queue.responses", c.Queue.Responses},
		{"queue.results_in", c.Queue.ResultsIn},
		{"queue.dead_letters", c.Queue.DeadLetters},
	} {
		optional := n.key != "queue.requests"
		if n.value == "" && optional {
			continue
		}
		switch reason := q.nameReason(n.value); {
		case reason != "":
			v.bad(n.key, reason)
		case used[n.value] != "":
			v.bad(n.key, "is also "+used[n.value]+"; they must be different")
		case optional && q.private:
			v.bad(n.key, "has no effect with the "+q.name+" queue, which no other program can reach")
		}
		used[n.value] = n.key
	}
}

// nameReason says why nothing can be named like that, or "".
func (q *queueType) nameReason(name string) string {
	switch {
	case !queueName.MatchString(name):
		return "must be 1 to 200 of A-Z a-z 0-9 . _ : -"
	case q.nameFault != nil:
		return q.nameFault(name)
	default:
		return ""
	}
}

// validateLimits checks ages and times against what the queue can do.
func (c *Config) validateLimits(v *validator, q queueType) {
	q.maxAge.check(v, "request.max_age", c.Request.MaxAge)
	q.maxLease.check(v, "worker.timeout", c.Worker.Timeout)
	for _, name := range slices.Sorted(maps.Keys(c.Proxy.Endpoints)) {
		if timeout := c.Proxy.Endpoints[name].Timeout; timeout != c.Worker.Timeout {
			q.maxLease.check(v, "proxy.endpoints."+name+".timeout", timeout)
		}
	}
	q.maxLease.check(v, "queue.lease", c.Queue.Lease)
	if q.wholeSeconds && c.Queue.Lease%time.Second != 0 {
		v.bad("queue.lease", "must be whole seconds with queue.type \""+q.name+"\"")
	}
}

func (l limit) check(v *validator, key string, value time.Duration) {
	if l.most > 0 && value > l.most {
		v.bad(key, "must be at most "+formatDuration(l.most)+" with "+l.with)
	}
}

// validateRemembering makes results outlive messages that a broker hands out again: it takes the lease to notice that a
// worker is gone, and some time for what that worker had not settled yet.
func (c *Config) validateRemembering(v *validator, q queueType) {
	if q.lease == nil {
		return
	}
	if least := q.lease(c) + time.Minute; c.Store.TTL < least {
		v.bad("store.ttl", "must be at least "+formatDuration(least)+" with queue.type \""+q.name+
			"\": the broker may hand a message out once more, and the result says that it is done")
	}
}

// validateDivision checks that queue, store and roles go together.
func (c *Config) validateDivision(v *validator, q queueType) {
	if c.Store.Type != q.store {
		v.bad("store.type", `must be auto or "`+q.store+`" with queue.type "`+q.name+`"`)
	}
	if !v.fine("role") {
		return
	}
	if q.private {
		if c.Role != RoleAll {
			v.bad("role", `must be "all": the `+q.name+` queue and store belong to one process`)
		}
		return
	}
	if !c.Queue.HandsOver() {
		return
	}
	if c.Role != RoleAPI {
		v.bad("queue.results_in", `needs role "api": with it the requests are for consumers of other programs`)
	}
	if q.handover != nil {
		q.handover(c, v)
	}
}
