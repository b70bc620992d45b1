package redis

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
)

// Options of a connection. All durations and limits come from the configuration; there are no defaults here.
type Options struct {
	URL           string        // in one of the forms of go-redis: see ParseURL, ParseClusterURL and ParseFailoverURL
	TLS           *tls.Config   // of a rediss:// URL, whose host is the ServerName unless one is set; nil: go-redis's own
	Connections   int           // at most, to each server, without the few that block; 0: as many as go-redis likes
	Access        *Access       // user, password and TLS of new connections, renewable; nil: those of URL and TLS
	Queue         string        // the name that all keys begin with, after "{"; without braces and slashes
	Shards        int           // at least 1; the same in all processes that share the queue
	WaitReplicas  int           // that must confirm what is accepted or finished; 0: none
	MaxDepth      int64         // unfinished requests; 0: no limit. Each shard holds its part of it
	Lease         time.Duration // of a delivery whose consumer is gone
	TTL           time.Duration // of a record from its final state on
	DeadLetterTTL time.Duration
	Originals     bool // of requests that a carrier has are kept, too
	Now           func() time.Time
	Ended         func(domain.Record) // called with what this process made final; nil: nobody; must not block
	Logger        *slog.Logger

	// Handover: ready requests are for workers of other programs. They are messages in the plain stream that has the
	// queue's name or, with HandoverOutbox, in an outbox on their way to another broker; Conclude saves their results.
	// The same in all processes that share the queue, and with that stream with one shard only.
	Handover       bool
	HandoverOutbox bool

	Retention time.Duration // of entries in the streams of Outlet, and of notices still owed: hours at least

	// MostEntries bounds streams of Outlet by name: the oldest entries beyond so many go, read or not. Redis removes them
	// a hundred at a time, so there may be some more.
	MostEntries map[string]int64

	outboxPoll time.Duration // in tests; 0: usualOutboxPoll
}

// Access holds user, password and TLS of new connections, and can be renewed while a DB is open.
type Access = server.Access

// handsOverElsewhere reports whether ready requests go to another broker.
func (o *Options) handsOverElsewhere() bool { return o.Handover && o.HandoverOutbox }
