package paired_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
	"github.com/openhqm/openhqm/tests/memorycarrier"
	"github.com/openhqm/openhqm/tests/testkit"
)

// system is queue and store, joined as a process has them.
type system struct {
	conformance.Instance

	t     *testing.T
	redis *testkit.Redis
	queue *memorycarrier.Broker
	work  ports.Work
}

func start(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, redis: testkit.StartRedis(t), queue: nastyBroker()}
	var err error
	s.Instance, err = open(t.Context(), joining(s.queue), redis.Options{
		URL: s.redis.URL(), Queue: "openhqm-requests", Shards: 1,
		Lease: time.Minute, TTL: time.Hour, DeadLetterTTL: time.Hour,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	s.work = s.NewConsumer(t.Context())
	return s
}

func newRequest(id domain.ID) domain.Request {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return domain.Request{
		ID: id, Endpoint: "orders", Header: domain.Header{}, Body: []byte(`{"n":1}`),
		SubmittedAt: now, Deadline: now.Add(time.Hour),
	}
}

func (s *system) accept(r domain.Request) ports.Accepted {
	return s.Intake.Accept(s.t.Context(), []domain.Request{r})[0]
}

func (s *system) receive() ports.Delivery {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testkit.Patience)
	defer cancel()
	deliveries, err := s.work.Receive(ctx, ports.Credit{Count: 1, Bytes: 1})
	require.NoError(s.t, err)
	require.Len(s.t, deliveries, 1)
	return deliveries[0]
}

func (s *system) complete(d ports.Delivery) error {
	return s.work.Finish(s.t.Context(), []ports.Finish{{
		ID: d.Request.ID, Token: d.Token,
		Outcome: domain.Outcome{Status: domain.Completed, Attempts: d.Attempts + 1, At: time.Now()},
	}})[0]
}

// write adds a message as another program does.
func (s *system) write(value string) { s.queue.Write(requests, []byte(value)) }

// nothing lets everything be looked at that there is, none of which is to be handed out.
func (s *system) nothing() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 200*time.Millisecond)
	defer cancel()
	deliveries, err := s.work.Receive(ctx, ports.Credit{Count: 10, Bytes: 1 << 40})
	require.ErrorIs(s.t, err, context.DeadlineExceeded)
	require.Empty(s.t, deliveries)
}

// TestWhatTheQueueDidNotConfirmIsPublishedByARepeat has a queue that is away, and a store that is not.
func TestWhatTheQueueDidNotConfirmIsPublishedByARepeat(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := newRequest("first")
	first.Idempotency = &domain.Idempotency{Key: "key", ExpiresAt: first.Deadline}
	s.queue.SetAway(true)
	require.ErrorIs(t, s.accept(first).Err, ports.ErrUnavailable)
	s.queue.SetAway(false)
	s.nothing()

	repeat := newRequest("repeat")
	repeat.Idempotency = first.Idempotency
	var answer ports.Accepted
	require.Eventually(t, func() bool { // it is not tried at once
		answer = s.accept(repeat)
		return answer.Err == nil
	}, testkit.Patience, 10*time.Millisecond)
	require.Equal(t, ports.AcceptedSame, answer.Outcome)
	require.Equal(t, first.ID, answer.Record.ID)
	d := s.receive()
	require.Equal(t, first.ID, d.Request.ID)
	require.NoError(t, s.complete(d))
	s.nothing()
}

func TestForeignMessagesAreWorkedOff(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.write(`{"payload": {"n": 1}}`)
	d := s.receive()
	require.True(t, d.Request.ID.Valid())
	require.Equal(t, "orders", d.Request.Endpoint)
	require.Equal(t, `{"n": 1}`, string(d.Request.Body))
	require.NoError(t, s.complete(d))
	record, err := s.Results.Find(t.Context(), d.Request.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, record.Status)

	due := time.Now().Add(300 * time.Millisecond)
	s.write(`{"correlation_id":"later","payload":1,"metadata":{"retry_count":2,"not_before":"` +
		due.UTC().Format(time.RFC3339Nano) + `"}}`)
	d = s.receive()
	require.False(t, time.Now().Before(due))
	require.Equal(t, domain.ID("later"), d.Request.ID)
	require.Equal(t, 2, d.Attempts)
	require.NoError(t, s.complete(d))
	s.nothing()
}

func TestAMessageThatCannotBeReadIsADeadLetter(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.write("hello")
	s.nothing()
	page, err := s.DeadLetters.List(t.Context(), ports.DeadLetterFilter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Letters, 1)
	require.Equal(t, domain.ReasonUndecodable, page.Letters[0].Reason)
	d, err := s.Gauge.Depths(t.Context())
	require.NoError(t, err)
	require.Zero(t, d.Ready+d.Delayed+d.Leased)
}

func TestWhatIsNoNewRequestIsADeadLetterWithItsMessage(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.write(`{"correlation_id":"theirs","payload":1}`)
	require.NoError(t, s.complete(s.receive()))
	ours := newRequest("ours")
	require.NoError(t, s.accept(ours).Err)
	require.NoError(t, s.complete(s.receive()))
	for _, tt := range []struct {
		message string
		reason  domain.Reason
		id      domain.ID // empty: one that is derived from the place
	}{
		{`{"correlation_id":"theirs","payload":2}`, domain.ReasonIDConflict, ""},
		{`{"correlation_id":"ours","payload":2}`, domain.ReasonIDConflict, ""},
		{`{"correlation_id":"new","data":{}}`, domain.ReasonUndecodable, "new"},
		{`{"correlation_id":"theirs","data":{}}`, domain.ReasonUndecodable, ""},
		{`{"Type":"Notification","Message":"{}"}`, domain.ReasonUndecodable, ""},
		{`{"correlation_id":"order-1","payload":1,"metadata":{"priority":99}}`, domain.ReasonUndecodable, "order-1"},
	} {
		s.write(tt.message)
		s.nothing()
		page, err := s.DeadLetters.List(t.Context(), ports.DeadLetterFilter{Limit: 1})
		require.NoError(t, err)
		letter, err := s.DeadLetters.Find(t.Context(), page.Letters[0].ID)
		require.NoError(t, err)
		require.Equal(t, tt.message, string(letter.Original.Value))
		require.Equal(t, tt.reason, letter.Reason, tt.message)
		require.Equal(t, tt.reason == domain.ReasonIDConflict, letter.Request != nil)
		if tt.id != "" {
			require.Equal(t, tt.id, letter.ID)
		}
		record, err := s.Results.Find(t.Context(), letter.ID)
		require.NoError(t, err)
		require.Equal(t, domain.Failed, record.Status)
		require.NoError(t, s.DeadLetters.Delete(t.Context(), letter.ID))
	}
	for _, id := range []domain.ID{"theirs", ours.ID} {
		record, err := s.Results.Find(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, domain.Completed, record.Status, "the request with the id is left alone")
	}
}

// TestAStoreThatComesBackEmptyLosesNothing holds that what the queue carries is taken in as new, and what was being
// worked on is done again.
func TestAStoreThatComesBackEmptyLosesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	running, waiting := newRequest("running"), newRequest("waiting")
	require.NoError(t, s.accept(running).Err)
	lost := s.receive()
	require.Equal(t, running.ID, lost.Request.ID)
	require.NoError(t, s.accept(waiting).Err)
	s.redis.Run("FLUSHALL")

	require.ErrorIs(t, s.complete(lost), ports.ErrLost)
	for range 2 {
		d := s.receive()
		require.Equal(t, 1, d.Deliveries)
		require.NoError(t, s.complete(d))
	}
	for _, id := range []domain.ID{running.ID, waiting.ID} {
		record, err := s.Results.Find(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, domain.Completed, record.Status)
	}
	s.nothing()
}

// TestALeavingProcessKeepsWhatItHasBegunAlone has one that has received more than it has begun.
func TestALeavingProcessKeepsWhatItHasBegunAlone(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	db, err := redis.Open(t.Context(), redis.Options{
		URL: server.URL(), Queue: "openhqm-requests", Shards: 1,
		Lease: time.Minute, TTL: time.Hour, DeadLetterTTL: time.Hour,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	broker := memorycarrier.New(memorycarrier.Options{})
	process := func() (*paired.Queue, *paired.Work) {
		q := paired.Join(broker.Join(requests), db, paired.Options{Reader: reader(), Now: time.Now})
		consumer, wait := db.NewConsumer(t.Context())
		t.Cleanup(wait)
		return q, q.NewWork(consumer)
	}
	leaving, leavingWork := process()
	heir, heirWork := process()
	const n = 5
	for i := range n {
		require.NoError(t, leaving.Intake().Accept(t.Context(), []domain.Request{
			newRequest(domain.ID(fmt.Sprintf("request-%d", i))),
		})[0].Err)
	}
	begun, err := leavingWork.Receive(t.Context(), ports.Credit{Count: 2, Bytes: 1 << 20})
	require.NoError(t, err)
	leaving.Leave(t.Context())
	lag, err := broker.Join(requests).Lag(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, n-len(begun), lag.Messages, "what is begun is settled")
	left, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.Equal(t, lag.Messages, left.Carried, "and is in the store instead")
	_, err = leavingWork.Receive(t.Context(), ports.Credit{Count: n, Bytes: 1 << 20})
	require.ErrorIs(t, err, ports.ErrClosed)

	finish := func(w ports.Work, d ports.Delivery) {
		require.NoError(t, w.Finish(t.Context(), []ports.Finish{{
			ID: d.Request.ID, Token: d.Token,
			Outcome: domain.Outcome{Status: domain.Completed, Attempts: 1, At: time.Now()},
		}})[0])
	}
	for left := n - len(begun); left > 0; {
		deliveries, err := heirWork.Receive(t.Context(), ports.Credit{Count: left, Bytes: 1 << 20})
		require.NoError(t, err)
		for _, d := range deliveries {
			require.Equal(t, 1, d.Deliveries, "nobody else has begun it")
			finish(heirWork, d)
			left--
		}
	}
	for _, d := range begun {
		finish(leavingWork, d) // it is still the holder's
	}
	depths, err := heir.Gauge().Depths(t.Context())
	require.NoError(t, err)
	require.Zero(t, depths.Ready+depths.Delayed+depths.Leased)
	require.True(t, depths.Approximate)
}
