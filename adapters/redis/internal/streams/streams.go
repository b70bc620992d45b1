// Package streams has the streams of Redis that other programs write and read, and the outboxes of the notices that
// they are still to get.
package streams

import (
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
)

// Options of the streams.
type Options struct {
	Queue     string        // the stream with this name has requests
	Handover  bool          // which are for other programs
	Lease     time.Duration // of an entry that a process has received
	Retention time.Duration // of entries for other programs, and of notices still owed
	Now       func() time.Time

	MostEntries map[string]int64 // of streams for other programs, by name, about; none: only Retention bounds them

	News News

	OutboxPoll time.Duration // between looks for what other processes left in the outboxes
}

// News are signals that this process has just done something of which there may be a notice.
type News struct {
	Final, Buried, Ready <-chan struct{} // it ended a request, made or completed a dead letter, or made a request ready
}

// Streams makes publishers, receivers and outboxes.
type Streams struct {
	server *server.Server
	opts   Options
}

// New returns the streams of a server.
func New(s *server.Server, opts Options) *Streams { return &Streams{s, opts} }

// TidyUnseen is after how long a consumer is removed that holds nothing.
const TidyUnseen = 24 * time.Hour
