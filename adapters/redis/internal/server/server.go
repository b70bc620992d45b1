// Package server is the Redis that everything else in the adapter uses: its connections, the shards of the queue, what
// is known of outages, and the ways to run a script there, alone or with those of other callers in one round trip.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Options of a connection.
type Options struct {
	URL            string      // see connect
	TLS            *tls.Config // of a rediss:// URL; nil: go-redis's own
	Connections    int         // at most, to each server, without those that block; 0: as many as go-redis likes
	Access         *Access     // of new connections, renewable; nil: that of URL and TLS
	Queue          string      // the name that all keys begin with, after "{"
	Shards         int
	WaitReplicas   int  // that must confirm what a Committer ran; 0: none
	Handover       bool // requests are for other programs
	HandoverOutbox bool // and those get them from another broker
	Now            func() time.Time
	Logger         *slog.Logger
}

// Server is one Redis, in any of its forms. All methods may be called concurrently.
type Server struct {
	Client   redis.UniversalClient
	Blocking redis.UniversalClient // for commands that block: nothing else waits for their connections
	Shards   []*Shard

	opts   Options
	outage *outageState
	skews  skewLog

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	idle   chan struct{}  // closed by Close when no call is under way any more
	loops  sync.WaitGroup // the goroutines that Close waits for
	once   sync.Once
	calls  sync.RWMutex // held for reading by calls under way, which Close lets end
	closed bool         // guarded by calls
}

// openTimeout bounds Open.
const openTimeout = 8 * time.Second

// Open connects and makes sure that Redis can be used. When Redis is away, refuses us or is too old, that is an error
// within 10 s; it names the server but never a password.
func Open(ctx context.Context, opts Options) (*Server, error) {
	if opts.Queue == "" || strings.ContainsAny(opts.Queue, "{}"+tagSeparator) {
		return nil, errors.New("queue.requests must be a name without braces and slashes")
	}
	if opts.Handover && !opts.HandoverOutbox && opts.Shards > 1 {
		return nil, errors.New("redis.shards must be 1 with queue.results_in: other programs read one stream")
	}
	client, blocking, err := connect(opts.URL, opts.TLS, opts.Access, opts.Connections)
	if err != nil {
		return nil, err
	}
	s := newServer(opts, client, blocking)
	starting, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.prepare(starting); err != nil {
		s.cancel()
		return nil, errors.Join(fmt.Errorf("open redis at %s: %w", address(opts.URL), err), s.closeClients())
	}
	return s, nil
}

func newServer(opts Options, client, blocking redis.UniversalClient) *Server {
	s := &Server{
		Client: client, Blocking: blocking, Shards: newShards(opts.Queue, opts.Shards), opts: opts,
		outage: &outageState{
			Log:     outage.Log{Name: "redis", Logger: opts.Logger, Now: opts.Now},
			refused: outage.Refusals{Name: "redis", Logger: opts.Logger, Now: opts.Now},
		},
		idle: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// prepare checks that Redis is there, is new enough, and accepts writes. That it does not is the error of Open, and no
// outage: nothing is tried again.
func (s *Server) prepare(ctx context.Context) error {
	if err := s.Client.Ping(ctx).Err(); err != nil {
		return Translate(err)
	}
	if err := s.requireVersion(ctx); err != nil {
		return err
	}
	for _, one := range script.All() {
		if err := s.Client.ScriptLoad(ctx, one.Source()).Err(); err != nil {
			return Translate(err)
		}
	}
	for _, shard := range s.Shards {
		sent := s.opts.Now()
		answer, err := s.Eval(ctx, shard.Key, script.Rehearse.Call())
		if err != nil {
			return Translate(err)
		}
		s.NoteTime(shard, answer.Number("now"), sent, s.opts.Now())
	}
	return s.requireLayout(ctx)
}

// Close ends everything that waits, lets calls under way end, and closes the connections. It blocks until that is done.
// Called again it does nothing.
func (s *Server) Close() error {
	var err error
	s.once.Do(func() {
		s.cancel()
		s.calls.Lock()
		s.closed = true
		s.calls.Unlock()
		close(s.idle)
		err = s.closeClients()
		s.loops.Wait()
	})
	return err
}

func (s *Server) closeClients() error {
	return errors.Join(s.Client.Close(), s.Blocking.Close())
}

// Enter begins a call that uses Redis, and Leave ends it. It reports false when the server is closed. A call must not
// enter twice: when Close comes in between, both wait for each other.
func (s *Server) Enter() bool {
	if s.ctx.Err() != nil {
		return false // without waiting for those that Close lets end
	}
	s.calls.RLock()
	if s.closed {
		s.calls.RUnlock()
		return false
	}
	return true
}

// Leave ends a call that has entered.
func (s *Server) Leave() { s.calls.RUnlock() }

// Context ends when Close begins.
func (s *Server) Context() context.Context { return s.ctx }

// Go starts a goroutine that Close waits for. It must end when Context does.
func (s *Server) Go(loop func()) { s.loops.Go(loop) }

// Sleep returns after d, or when ctx ends or Close begins.
func (s *Server) Sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
}

// Closed returns n times ports.ErrClosed, for calls that cannot enter.
func Closed(n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = ports.ErrClosed
	}
	return errs
}
