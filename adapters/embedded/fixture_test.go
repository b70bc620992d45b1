package embedded

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// clock is a time that only moves when a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advance moves the time on and lets the database see it: groups run until nothing is left that is due by now.
func (c *clock) advance(t require.TestingT, db *DB, d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
	for more := true; more; {
		require.NoError(t, db.do(context.Background(), 0, func(tx *txn) error {
			more = min(db.due.next, db.expiry.next) <= tx.now.UnixMilli()
			return nil
		}))
	}
}

const (
	testLease         = 10 * time.Second
	testTTL           = time.Hour
	testDeadLetterTTL = 10 * time.Hour
)

func testOptions(dir string, now func() time.Time) Options {
	return Options{
		Dir: dir, Lease: testLease, TTL: testTTL, DeadLetterTTL: testDeadLetterTTL,
		CacheBytes: 64 << 20, MemTableBytes: 16 << 20, Now: now, Logger: slog.New(slog.DiscardHandler),
	}
}

// open opens a database that ends with the test.
func open(t *testing.T, opts Options) *DB {
	t.Helper()
	db, err := Open(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// openFresh opens a new database at the time of c.
func openFresh(t *testing.T, c *clock) *DB {
	t.Helper()
	return open(t, testOptions(t.TempDir(), c.Now))
}

var lastID atomic.Int64

// newRequest makes a request of that moment with an hour to live.
func newRequest(now time.Time, change ...func(*domain.Request)) domain.Request {
	r := domain.Request{
		ID: domain.ID("request-" + strconv.FormatInt(lastID.Add(1), 10)), Endpoint: "orders",
		Header: domain.Header{"X-Test": {"1"}}, Body: []byte("body"),
		SubmittedAt: now, Deadline: now.Add(time.Hour),
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func withKey(key string, expires time.Time) func(*domain.Request) {
	return func(r *domain.Request) { r.Idempotency = &domain.Idempotency{Key: key, ExpiresAt: expires} }
}

// accept takes requests in that must be new.
func accept(t require.TestingT, db *DB, reqs ...domain.Request) {
	for _, answer := range db.Accept(context.Background(), reqs) {
		require.NoError(t, answer.Err)
		require.Equal(t, ports.AcceptedNew, answer.Outcome)
	}
}

// consume makes a consumer that ends with the test.
func consume(t *testing.T, db *DB) *Consumer {
	t.Helper()
	c, _ := db.NewConsumer(t.Context())
	return c
}

// receive gets what there is, one at least.
func receive(t *testing.T, c *Consumer, count int) []ports.Delivery {
	t.Helper()
	deliveries, err := c.Receive(t.Context(), ports.Credit{Count: count, Bytes: 1 << 40})
	require.NoError(t, err)
	require.NotEmpty(t, deliveries)
	return deliveries
}

func finish(t require.TestingT, c *Consumer, d ports.Delivery, out domain.Outcome) {
	require.NoError(t, tryFinish(c, d, out))
}

func tryFinish(c *Consumer, d ports.Delivery, out domain.Outcome) error {
	return c.Finish(context.Background(), []ports.Finish{{ID: d.Request.ID, Token: d.Token, Outcome: out}})[0]
}

func outcome(status domain.Status, at time.Time) domain.Outcome {
	out := domain.Outcome{Status: status, Attempts: 1, At: at}
	if status == domain.Completed {
		out.Response = &domain.Response{StatusCode: 200, Body: []byte("done")}
	}
	return out
}
