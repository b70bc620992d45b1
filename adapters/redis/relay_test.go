package redis_test

import (
	"context"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

const (
	responsesStream = "responses"
	lettersStream   = "letters"
	resultsOutbox   = "{openhqm-requests}:outbox:results"
	lettersOutbox   = "{openhqm-requests}:outbox:letters"
	resultsOwed     = "{openhqm-requests}:told:results"
	lettersOwed     = "{openhqm-requests}:told:letters"
)

func telling(url string) redis.Options {
	opts := options(url)
	opts.Responses, opts.DeadLetterStream, opts.Retention = responsesStream, lettersStream, time.Hour
	opts.ResultURL = func(id domain.ID) string { return "http://localhost/" + string(id) }
	return opts
}

// relay runs a relay until the test ends. From now on everybody owes what it tells.
func relay(t *testing.T, db *redis.DB, client goredis.UniversalClient, notes ...string) {
	t.Helper()
	run(t, db.Relay)
	requireOwed(t, client, notes...)
}

// announce runs a relay for as long as it takes until everybody owes what it tells.
func announce(t *testing.T, db *redis.DB, client goredis.UniversalClient, notes ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Relay(ctx) }()
	requireOwed(t, client, notes...)
	cancel()
	require.NoError(t, <-ended)
}

func requireOwed(t *testing.T, client goredis.UniversalClient, notes ...string) {
	t.Helper()
	for _, note := range notes {
		require.Eventually(t, func() bool { return client.Exists(t.Context(), note).Val() == 1 },
			patience, time.Millisecond, note)
	}
}

func requireNothingOwed(t *testing.T, client goredis.UniversalClient) {
	t.Helper()
	requireSettled(t, client, resultsOutbox)
	requireSettled(t, client, lettersOutbox)
}

// toldResults waits until there are so many, and gives them.
func toldResults(t *testing.T, client goredis.UniversalClient, n int) map[domain.ID]envelope.Result {
	t.Helper()
	results := make(map[domain.ID]envelope.Result)
	for _, payload := range payloads(t, client, responsesStream, n) {
		result, err := envelope.DecodeResult([]byte(payload), time.Time{}, 1<<24)
		require.NoError(t, err)
		results[result.ID] = result
	}
	return results
}

func toldLetters(t *testing.T, client goredis.UniversalClient, n int) map[domain.ID]envelope.DeadLetter {
	t.Helper()
	letters := make(map[domain.ID]envelope.DeadLetter)
	for _, payload := range payloads(t, client, lettersStream, n) {
		letter, err := envelope.DecodeDeadLetter([]byte(payload), 1<<24)
		require.NoError(t, err)
		letters[letter.ID] = letter
	}
	return letters
}

// payloads waits for at least n entries in a stream.
func payloads(t *testing.T, client goredis.UniversalClient, stream string, n int) []string {
	t.Helper()
	require.Eventually(t, func() bool { return client.XLen(t.Context(), stream).Val() >= int64(n) },
		patience, 10*time.Millisecond)
	entries, err := client.XRange(t.Context(), stream, "-", "+").Result()
	require.NoError(t, err)
	var payloads []string
	for _, entry := range entries {
		payload, _ := entry.Values["payload"].(string)
		payloads = append(payloads, payload)
	}
	return payloads
}

// end finishes the next request.
func end(t *testing.T, c *redis.Consumer, status domain.Status, response *domain.Response) domain.ID {
	t.Helper()
	d := receive(t, c)
	out := domain.Outcome{
		Status: status, Attempts: 3, At: time.Now().UTC().Truncate(time.Millisecond),
		ProcessingTime: 5 * time.Millisecond, Response: response,
	}
	if status.DeadLettered() {
		out.Reason, out.Error = domain.ReasonAttempts, "no luck"
	}
	require.NoError(t, c.Finish(t.Context(), []ports.Finish{{ID: d.Request.ID, Token: d.Token, Outcome: out}})[0])
	return d.Request.ID
}

func TestEveryEndIsTold(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log testkit.LogBuffer
	opts := telling(s.url())
	opts.Logger = log.Logger()
	db := openDB(t, opts)
	relay(t, db, s.client(), resultsOwed, lettersOwed)
	c := consume(t, db)
	text := domain.Header{"Content-Type": {"text/plain"}}
	accept(t, db, newRequest())
	completed := end(t, c, domain.Completed, &domain.Response{StatusCode: 201, Header: text, Body: []byte("done")})
	original := newRequest()
	original.Header, original.Query = domain.Header{"X-A": {"b"}}, "c=d"
	accept(t, db, original)
	failed := end(t, c, domain.Failed, nil)
	accept(t, db, newRequest())
	large := make([]byte, envelope.MaxInlineBody+1)
	huge := end(t, c, domain.Completed, &domain.Response{StatusCode: 200, Header: text, Body: large})
	accept(t, db, newRequest())
	inline := end(t, c, domain.Completed, &domain.Response{StatusCode: 200, Header: text, Body: large[1:]})
	cancelled, late := newRequest(), newRequest()
	accept(t, db, cancelled)
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	late.Deadline = time.Now().Add(-time.Minute)
	accept(t, db, late)

	results := toldResults(t, s.client(), 6)
	require.Len(t, results, 6)
	require.Equal(t, "done", string(results[completed].Result.Response.Body))
	require.Equal(t, 201, results[completed].Result.Response.StatusCode)
	require.Equal(t, 5*time.Millisecond, results[completed].Result.ProcessingTime)
	require.Equal(t, domain.Failed, results[failed].Status)
	require.Equal(t, "no luck", results[failed].Result.Error)
	require.Equal(t, "http://localhost/"+string(huge), results[huge].URL)
	require.Equal(t, 200, results[huge].Result.Response.StatusCode)
	require.Empty(t, results[huge].Result.Response.Body)
	require.Empty(t, results[inline].URL)
	require.Equal(t, large[1:], results[inline].Result.Response.Body)
	require.Equal(t, domain.Cancelled, results[cancelled.ID].Status)
	require.Nil(t, results[cancelled.ID].Result.Response)
	require.Equal(t, domain.TimedOut, results[late.ID].Status)

	letters := toldLetters(t, s.client(), 2)
	require.Len(t, letters, 2)
	require.Contains(t, letters, late.ID)
	require.Equal(t, 3, letters[failed].Attempts)
	require.Equal(t, "no luck", letters[failed].Error)
	require.WithinDuration(t, time.Now(), letters[failed].FailedAt, patience)
	m, err := envelope.Decode(letters[failed].Message, time.Time{}, 1<<20)
	require.NoError(t, err)
	require.Equal(t, envelope.Message{Request: original}, m)
	requireNothingOwed(t, s.client())
	require.Empty(t, log.String(), "nothing was looked for in vain")
}

func TestMessagesThatCannotBeReadAreTold(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, telling(s.url()))
	relay(t, db, s.client(), resultsOwed, lettersOwed)
	storeResults(t, db)
	defer route(t, db)()
	request := domain.ID("stream-" + add(t, s.client(), "oops"))
	result := domain.ID("result-" + addResult(t, s.client(), `{"oops": true}`))
	letters := toldLetters(t, s.client(), 2)
	require.Equal(t, "oops", string(letters[request].Message))
	require.JSONEq(t, `{"oops": true}`, string(letters[result].Message))
	requireNothingOwed(t, s.client())
	results := toldResults(t, s.client(), 1)
	require.Contains(t, results, request)
	require.Len(t, results, 1, "a result that cannot be read is no result")
}

// TestWhatAProcessOwedIsToldByAnother ends a request in a process that tells no more.
func TestWhatAProcessOwedIsToldByAnother(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		kill func(t *testing.T, client *goredis.Client)
	}{
		{"before it looked", func(*testing.T, *goredis.Client) {}},
		{"after it looked", func(t *testing.T, client *goredis.Client) {
			t.Helper()
			for _, outbox := range []string{resultsOutbox, lettersOutbox} {
				require.NoError(t, client.XReadGroup(t.Context(), &goredis.XReadGroupArgs{
					Group: "openhqm", Consumer: "dead", Streams: []string{outbox, ">"},
				}).Err())
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			opts := telling(s.url())
			opts.Lease = 100 * time.Millisecond
			dying := openDB(t, opts)
			announce(t, dying, s.client(), resultsOwed, lettersOwed)
			accept(t, dying, newRequest())
			id := end(t, consume(t, dying), domain.Failed, nil)
			require.NoError(t, dying.Close())
			tt.kill(t, s.client())
			relay(t, openDB(t, opts), s.client())
			require.Contains(t, toldResults(t, s.client(), 1), id)
			require.Contains(t, toldLetters(t, s.client(), 1), id)
		})
	}
}

// TestLoopsEndWithTheDatabase lets Close end what nobody else does.
func TestLoopsEndWithTheDatabase(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for _, opts := range []redis.Options{options(s.url()), telling(s.url())} {
		db := openDB(t, opts)
		ended := make(chan error, 2)
		go func() { ended <- db.Relay(context.Background()) }()
		go func() {
			ended <- db.StoreResults(context.Background(), redis.ResultsInOptions{Stream: resultsStream, MaxSize: 1})
		}()
		accept(t, db, newRequest())
		end(t, consume(t, db), domain.Completed, nil)
		require.Empty(t, ended, "they go on, also when there is nobody to tell")
		require.NoError(t, db.Close())
		for range 2 {
			if err := <-ended; err != nil {
				require.ErrorIs(t, err, ports.ErrClosed, "it had not even begun")
			}
		}
		require.ErrorIs(t, db.Relay(t.Context()), ports.ErrClosed)
	}
}
