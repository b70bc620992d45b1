package paired_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// site is a Redis and a broker that our processes and other programs share.
type site struct {
	t     *testing.T
	store *testkit.Redis
	name  string // what the names of its topics begin with
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{t: t, store: testkit.StartRedis(t), name: uniqueName("site")}
}

func (s *site) requests() string  { return s.name + "-requests" }
func (s *site) resultsIn() string { return s.name + "-results-in" }
func (s *site) responses() string { return s.name + "-responses" }
func (s *site) letters() string   { return s.name + "-letters" }

// queue connects a process to the broker until the test ends. Limit is that of a message in bytes.
func (s *site) queue(limit int) ports.Carrier {
	s.t.Helper()
	return openKeyed(s.t, s.requests(), limit)
}

func (s *site) outlet(q ports.Carrier, topic string) ports.Publisher {
	s.t.Helper()
	o, err := q.Outlet(s.t.Context(), topic)
	require.NoError(s.t, err)
	return o
}

func (s *site) inlet(q ports.Carrier, topic string) ports.Receiver {
	s.t.Helper()
	in, err := q.Inlet(s.t.Context(), topic)
	require.NoError(s.t, err)
	return in
}

// open opens the store of a process until the test ends.
func (s *site) open(set func(*redis.Options)) *redis.DB {
	s.t.Helper()
	opts := redis.Options{
		URL: s.store.URL(), Queue: "openhqm-requests", Shards: 1,
		Lease: 200 * time.Millisecond, TTL: time.Hour, DeadLetterTTL: time.Hour, Retention: time.Hour,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
	set(&opts)
	db, err := redis.Open(s.t.Context(), opts)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, db.Close()) })
	return db
}

// handover lets a process keep requests for workers of other programs.
func handover(o *redis.Options) { o.Handover, o.HandoverOutbox = true, true }

func noticeOptions() exchange.NoticesOutOptions {
	return exchange.NoticesOutOptions{
		ResultURL:     func(id domain.ID) string { return "http://localhost/results/" + string(id) },
		DeadLetterURL: func(id domain.ID) string { return "http://localhost/letters/" + string(id) },
		Now:           time.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

func handovers(db *redis.DB, outlet ports.Publisher) *exchange.NoticesOut {
	return exchange.NewHandoversOut(db.Outbox(ports.NoticeHandover), outlet, db, noticeOptions())
}

// run runs a loop until the test ends.
func (s *site) run(loop func(context.Context) error) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		require.NoError(s.t, <-ended)
	})
}

func (s *site) accept(db *redis.DB, reqs ...domain.Request) {
	s.t.Helper()
	for _, answer := range db.Accept(s.t.Context(), reqs) {
		require.NoError(s.t, answer.Err)
	}
}

// messagesOf gets messages of a topic until there are n different ones, by id, each with how often it came.
func (s *site) messagesOf(in ports.Receiver, n int) (values map[domain.ID][]byte, times map[domain.ID]int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testkit.Patience)
	defer cancel()
	values, times = make(map[domain.ID][]byte), make(map[domain.ID]int)
	for len(values) < n {
		received, err := in.Receive(ctx, n, 1<<30)
		require.NoErrorf(s.t, err, "after %d of %d messages", len(values), n)
		for _, r := range received {
			values[r.ID] = r.Value
			times[r.ID]++
			in.Settle([]ports.Ticket{r.Ticket})
		}
	}
	return values, times
}

// write publishes what another program says.
func (s *site) write(o ports.Publisher, key domain.ID, value string) {
	s.t.Helper()
	require.NoError(s.t, o.Publish(s.t.Context(), []ports.QueueMessage{{ID: key, Value: []byte(value)}})[0])
}

// TestOtherProgramsWorkOffWhatIsHandedOver has our api publish, and another program's consumer do the work.
func TestOtherProgramsWorkOffWhatIsHandedOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ours, theirs := s.queue(1<<20), s.queue(1<<20)
	results := s.outlet(theirs, s.resultsIn())
	s.write(results, "unknown", `{"correlation_id": "unknown", "status": "COMPLETED"}`) // before we are there
	db := s.open(handover)
	s.run(handovers(db, s.outlet(ours, s.requests())).Run)
	s.run(exchange.NewResultsIn(s.inlet(ours, s.resultsIn()), db, exchange.ResultsInOptions{
		MaxSize: 1 << 20, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}).Run)

	ready, urgent, delayed, cancelled := newRequest("ready"), newRequest("urgent"), newRequest("delayed"),
		newRequest("cancelled")
	urgent.Priority = envelope.MaxPriority
	delayed.NotBefore = time.Now().UTC().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	cancelled.NotBefore = delayed.NotBefore
	s.accept(db, ready, urgent, delayed, cancelled)
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	values, _ := s.messagesOf(s.inlet(theirs, s.requests()), 3)
	require.False(t, time.Now().Before(delayed.NotBefore), "not too early")
	for _, want := range []domain.Request{ready, urgent, delayed} {
		m, err := envelope.Decode(values[want.ID], time.Time{}, 1<<20)
		require.NoError(t, err)
		require.Equal(t, envelope.Message{Request: want}, m)
	}

	_, err = db.Cancel(t.Context(), urgent.ID)
	require.NoError(t, err)
	s.write(results, "x", "oops")
	for _, id := range []domain.ID{ready.ID, urgent.ID, delayed.ID} { // one key, so one after the other
		s.write(results, "key", fmt.Sprintf(`{"correlation_id":%q,"status":"COMPLETED","result":{"n":1}}`, id))
		s.write(results, "key", fmt.Sprintf(`{"correlation_id":%q,"status":"FAILED","error":"no luck"}`, id))
	}
	for id, want := range map[domain.ID]domain.Status{
		ready.ID: domain.Completed, urgent.ID: domain.Cancelled, delayed.ID: domain.Completed,
	} {
		s.requireStatus(db, id, want)
	}
	rec, err := db.Find(t.Context(), ready.ID)
	require.NoError(t, err)
	require.JSONEq(t, `{"n":1}`, string(rec.Result.Response.Body))
	testkit.Until(t, "the message that cannot be read is the only dead letter", func() bool {
		page, err := db.DeadLetters().List(t.Context(), ports.DeadLetterFilter{Limit: 10})
		return err == nil && len(page.Letters) == 1 && page.Letters[0].Reason == domain.ReasonUndecodable
	})
}

func (s *site) requireStatus(db *redis.DB, id domain.ID, want domain.Status) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testkit.Patience)
	defer cancel()
	rec, err := db.Wait(ctx, id)
	require.NoError(s.t, err)
	require.Equal(s.t, want, rec.Status, id)
}

// TestOtherProgramsGetNoticesOnTopics has a worker whose topics take small messages alone.
func TestOtherProgramsGetNoticesOnTopics(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const limit = 20_000
	q := s.queue(limit)
	db := s.open(func(*redis.Options) {})
	results, buried := db.Outbox(ports.NoticeResult), db.Outbox(ports.NoticeDeadLetter)
	s.run(exchange.NewResultsOut(results, s.outlet(q, s.responses()), noticeOptions()).Run)
	s.run(exchange.NewDeadLettersOut(buried, s.outlet(q, s.letters()), noticeOptions()).Run)
	testkit.Until(t, "every process keeps notices", func() bool {
		return s.store.Run("EXISTS", "{openhqm-requests}:told:results", "{openhqm-requests}:told:letters") == "2"
	})
	consumer, wait := db.NewConsumer(t.Context())
	t.Cleanup(wait)
	intake, work := paired.NewIntake(q, db, time.Now), paired.NewWork(reader(), q, db, consumer)

	small, large := newRequest("small"), newRequest("large")
	large.Body = make([]byte, limit+1) // the store keeps what no message can carry
	s.fail(intake, work, small, []byte("sorry"))
	s.fail(intake, work, large, make([]byte, limit+1))
	values, _ := s.messagesOf(s.inlet(q, s.responses()), 2)
	published := decodeAll(t, values, func(v []byte) (envelope.Result, error) {
		return envelope.DecodeResult(v, time.Time{}, 1<<20)
	})
	require.Equal(t, "sorry", string(published[small.ID].Result.Response.Body))
	require.Equal(t, "http://localhost/results/large", published[large.ID].URL)
	values, _ = s.messagesOf(s.inlet(q, s.letters()), 2)
	letters := decodeAll(t, values, testkit.DecodeDeadLetter)
	require.Contains(t, string(letters[small.ID].Message), `"correlation_id":"small"`)
	require.Equal(t, "http://localhost/letters/large", letters[large.ID].URL)
}

func decodeAll[T any](t *testing.T, values map[domain.ID][]byte, decode func([]byte) (T, error)) map[domain.ID]T {
	t.Helper()
	all := make(map[domain.ID]T)
	for id, value := range values {
		decoded, err := decode(value)
		require.NoError(t, err)
		all[id] = decoded
	}
	return all
}

// fail takes a request in and works it off, in vain.
func (s *site) fail(intake ports.Intake, work ports.Work, r domain.Request, body []byte) {
	s.t.Helper()
	require.NoError(s.t, intake.Accept(s.t.Context(), []domain.Request{r})[0].Err)
	ctx, cancel := context.WithTimeout(s.t.Context(), testkit.Patience)
	defer cancel()
	deliveries, err := work.Receive(ctx, ports.Credit{Count: 1, Bytes: 1 << 30})
	require.NoError(s.t, err)
	require.NoError(s.t, work.Finish(ctx, []ports.Finish{{
		ID: r.ID, Token: deliveries[0].Token, Outcome: domain.Outcome{
			Status: domain.Failed, Reason: domain.ReasonRejected, Error: "no luck", Attempts: 1, At: time.Now(),
			Response: &domain.Response{StatusCode: 500, Header: domain.Header{}, Body: body},
		},
	}})[0])
}

// slow is an outlet that a test lets go on.
type slow struct {
	publishing chan struct{} // a publish has begun
	goOn       chan struct{} // closed by the test
	published  []domain.ID
}

func (s *slow) Publish(_ context.Context, messages []ports.QueueMessage) []error {
	s.publishing <- struct{}{}
	<-s.goOn
	for i := range messages {
		s.published = append(s.published, messages[i].ID)
	}
	return make([]error, len(messages))
}

// TestWhatBecomesOwedDuringTheLastRoundIsPublished has a process that is ended while it publishes.
func TestWhatBecomesOwedDuringTheLastRoundIsPublished(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.open(func(*redis.Options) {})
	outbox := db.Outbox(ports.NoticeResult)
	_, err := outbox.Due(t.Context())
	require.NoError(t, err)
	end := func(id domain.ID) {
		s.accept(db, newRequest(id))
		_, err := db.Cancel(t.Context(), id)
		require.NoError(t, err)
	}
	out := &slow{publishing: make(chan struct{}, 2), goOn: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- exchange.NewResultsOut(outbox, out, noticeOptions()).Run(ctx) }()
	end("first")
	<-out.publishing
	end("second")
	stop()
	close(out.goOn)
	require.NoError(t, <-ended)
	require.Equal(t, []domain.ID{"first", "second"}, out.published)
}

// deadly publishes, and then the process that it is in does nothing any more.
type deadly struct {
	ports.Publisher

	published chan struct{}
}

func (d deadly) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	errs := d.Publisher.Publish(ctx, messages)
	d.published <- struct{}{}
	<-ctx.Done()
	for i := range errs {
		errs[i] = ports.ErrUnavailable
	}
	return errs
}

// TestWhatADeadProcessPublishedIsPublishedAgain has one die between the two steps of handing over.
func TestWhatADeadProcessPublishedIsPublishedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	q := s.queue(1 << 20)
	out := deadly{s.outlet(q, s.requests()), make(chan struct{}, 1)}
	dying := s.open(handover)
	const n = 10
	for i := range n {
		s.accept(dying, newRequest(domain.ID(fmt.Sprintf("request-%d", i))))
	}
	ended := make(chan error, 1)
	ctx, die := context.WithCancel(t.Context())
	go func() { ended <- handovers(dying, out).Run(ctx) }()
	<-out.published
	require.NoError(t, dying.Close())
	die()
	if err := <-ended; err != nil {
		require.ErrorIs(t, err, ports.ErrClosed, "it found out that its store is")
	}

	heir := s.open(handover)
	s.run(handovers(heir, out.Publisher).Run)
	testkit.Until(t, "the outbox is empty", func() bool {
		return s.store.Run("XLEN", "{openhqm-requests}:outbox:requests") == "0"
	})
	in := s.inlet(q, s.requests())
	s.write(out.Publisher, "end", "")
	_, times := s.messagesOf(in, n+1)
	repeated := 0
	for _, came := range times {
		repeated += came - 1
	}
	require.Positive(t, repeated, "nobody knows what a dead process has done")
}
