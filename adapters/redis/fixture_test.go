package redis_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// patience is how long tests wait for what must happen.
const patience = time.Minute

func options(url string) redis.Options {
	return redis.Options{
		URL: url, Queue: "openhqm-requests", Shards: 1,
		Lease: time.Minute, TTL: time.Hour, DeadLetterTTL: 10 * time.Hour,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

// openDB opens one that ends with the test.
func openDB(t *testing.T, opts redis.Options) *redis.DB {
	t.Helper()
	db, err := redis.Open(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// consume makes a consumer that ends with the test.
func consume(t *testing.T, db *redis.DB) *redis.Consumer {
	t.Helper()
	c, wait := db.NewConsumer(t.Context())
	t.Cleanup(wait)
	return c
}

var lastID atomic.Int64

func newRequest() domain.Request {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return domain.Request{
		ID: domain.ID("request-" + strconv.FormatInt(lastID.Add(1), 10)), Endpoint: "orders",
		Header: domain.Header{}, Body: []byte("body"), SubmittedAt: now, Deadline: now.Add(time.Hour),
	}
}

func accept(t *testing.T, db *redis.DB, r domain.Request) {
	t.Helper()
	require.NoError(t, tryAccept(t.Context(), db, r))
}

func tryAccept(ctx context.Context, db *redis.DB, r domain.Request) error {
	return db.Accept(ctx, []domain.Request{r})[0].Err
}

// receive gets one delivery.
func receive(t *testing.T, c *redis.Consumer) ports.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	deliveries, err := c.Receive(ctx, ports.Credit{Count: 1, Bytes: 1 << 40})
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	return deliveries[0]
}

func finish(t *testing.T, c *redis.Consumer, d ports.Delivery, status domain.Status) {
	t.Helper()
	require.NoError(t, c.Finish(t.Context(), []ports.Finish{{
		ID: d.Request.ID, Token: d.Token, Outcome: domain.Outcome{Status: status, Attempts: 1, At: time.Now()},
	}})[0])
}

// rejection is that of a message that cannot be read.
func rejection(r domain.Request, message, cause string) ports.Rejection {
	return ports.Rejection{
		Request: r, Spare: "spare-" + r.ID, Original: domain.Original{Value: []byte(message)},
		Reason: domain.ReasonUndecodable, Cause: errors.New(cause),
	}
}
