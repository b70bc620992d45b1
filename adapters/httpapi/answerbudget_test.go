package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Times inside synctest bubbles pass at once and exactly.

// largeSize is the size of content that needs room, and largeRoom enough for showing it once, but not twice.
const (
	largeSize = 4 * smallAnswer
	largeRoom = 3 * largeSize
)

// library has a large and a small result and dead letter, and counts how often a large one was loaded.
type library struct {
	*fakes

	letters deadLetterFakes
	loaded  atomic.Int64
}

// smallURL is where the small result is.
const smallURL = "/api/v1/response/" + string(newTestID)

func newLibrary() *library {
	l := &library{fakes: &fakes{}}
	l.state = func(_ context.Context, id domain.ID) (domain.Record, error) {
		record := pendingRecord
		record.ID, record.Status, record.ResponseSize = id, domain.Completed, int64(len(content(id)))
		return record, nil
	}
	l.wait = func(ctx context.Context, id domain.ID, _ time.Duration) (domain.Record, error) {
		return l.state(ctx, id)
	}
	l.find = func(ctx context.Context, id domain.ID) (domain.Record, error) {
		l.load(id)
		record, err := l.state(ctx, id)
		record.Result = &domain.Result{Response: &domain.Response{StatusCode: 200, Body: []byte(content(id))}}
		return record, err
	}
	l.submit = func(context.Context, ports.Submission) (ports.Receipt, error) {
		return ports.Receipt{ID: testID, SubmittedAt: testNow}, nil
	}
	l.letters.state = func(id domain.ID) (domain.DeadLetter, error) {
		letter := testDeadLetter()
		letter.ID, letter.RequestSize = id, int64(len(content(id)))
		return letter, nil
	}
	l.letters.find = func(id domain.ID) (domain.DeadLetter, error) {
		l.load(id)
		letter, err := l.letters.state(id)
		letter.Request = &domain.Request{ID: id, Body: []byte(content(id))}
		return letter, err
	}
	return l
}

// content is what a response or an original holds.
func content(id domain.ID) string {
	if id == testID {
		return strings.Repeat("x", largeSize)
	}
	return strings.Repeat("x", smallAnswer)
}

func (l *library) load(id domain.ID) {
	if id == testID {
		l.loaded.Add(1)
	}
}

// serve starts a server over the library with so much room for answers.
func (l *library) serve(t *testing.T, room int64) *rig {
	t.Helper()
	return startPiped(t, l.fakes, withDeadLetters(&l.letters), func(o *Options) { o.MaxResponseBytes = room })
}

// slowReader is a client that has read the header of the large result, and nothing of its body yet.
type slowReader struct {
	conn     net.Conn
	response *http.Response
}

func newSlowReader(t *testing.T, r *rig) *slowReader {
	t.Helper()
	conn, err := r.dial()
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n", responseURL)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // that would read it to its end
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	return &slowReader{conn, response}
}

// readOn reads the rest.
func (s *slowReader) readOn(t *testing.T) {
	t.Helper()
	require.Contains(t, readAnswer(t, s.response).body, content(testID))
	require.NoError(t, s.conn.Close())
}

// leave goes away without reading the rest.
func (s *slowReader) leave(t *testing.T) {
	t.Helper()
	require.NoError(t, s.conn.Close())
	require.NoError(t, s.response.Body.Close())
}

func TestLargeAnswersShareABudget(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, a answer) {
		t.Helper()
		p := requireProblem(t, a, http.StatusServiceUnavailable, "OVERLOADED")
		require.Equal(t, string(testID), p["correlation_id"])
		require.Equal(t, busyRetryAfter, a.Header.Get("Retry-After"))
		require.NotEmpty(t, a.Header.Get("X-OpenHQM-Status"))
	}
	acceptedAndFinal := func(t *testing.T, a answer) {
		t.Helper()
		requireReceiptWith(t, a, domain.Completed)
	}
	for name, tt := range map[string]struct {
		method, path, body string
		wantWithoutRoom    func(*testing.T, answer)
	}{
		"a result":                    {"GET", responseURL, "", refused},
		"a result that is waited for": {"GET", responseURL + "?wait=1s", "", refused},
		"a dead letter":               {"GET", deadLetterURL, "", refused},
		"a submit that waits":         {"POST", "/api/v1/submit", "{}", acceptedAndFinal},
		"a proxied one that waits":    {"POST", "/proxy/orders", "{}", acceptedAndFinal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLibrary()
				r := l.serve(t, largeRoom)
				ask := func() answer { return r.do(tt.method, tt.path, tt.body, "Prefer", "wait=1") }
				first := newSlowReader(t, r)

				began := time.Now()
				tt.wantWithoutRoom(t, ask())
				require.Equal(t, answerPatience, time.Since(began))
				require.EqualValues(t, 1, l.loaded.Load(), "what there is no room for is not loaded")

				second := make(chan answer, 1)
				go func() { second <- ask() }()
				synctest.Wait()
				require.Empty(t, second)
				first.readOn(t)
				a := <-second
				require.Equal(t, http.StatusOK, a.StatusCode, "there is room again")
				require.Contains(t, a.body, content(testID))
			})
		})
	}
}

func TestSmallAnswersNeverWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newLibrary().serve(t, largeRoom)
		slow := newSlowReader(t, r)
		began := time.Now()
		for _, path := range []string{smallURL, smallURL + "?wait=1s", deadLettersPath + "/" + string(newTestID), statusURL} {
			require.Equal(t, http.StatusOK, r.do("GET", path, "").StatusCode, path)
		}
		require.Zero(t, time.Since(began))
		slow.readOn(t)
	})
}

func TestOneAnswerFitsHoweverLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newLibrary().serve(t, 1)
		slow := newSlowReader(t, r)
		requireProblem(t, r.do("GET", responseURL, ""), http.StatusServiceUnavailable, "OVERLOADED")
		slow.readOn(t)
		for range 2 {
			require.Equal(t, http.StatusOK, r.do("GET", responseURL, "").StatusCode)
		}
	})
}

func TestReaderThatLeavesReleasesItsMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLibrary()
		r := l.serve(t, largeRoom)
		newSlowReader(t, r).leave(t)
		require.Equal(t, http.StatusOK, r.do("GET", responseURL, "").StatusCode)

		find := l.find
		l.find = func(context.Context, domain.ID) (domain.Record, error) {
			return domain.Record{}, ports.ErrUnavailable
		}
		requireProblem(t, r.do("GET", responseURL, ""), http.StatusServiceUnavailable, "QUEUE_UNAVAILABLE")
		l.find = find
		require.Equal(t, http.StatusOK, r.do("GET", responseURL, "").StatusCode)
	})
}

func TestReaderThatLeavesWhileItWaitsForRoomIsNotServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLibrary()
		r := l.serve(t, largeRoom)
		first := newSlowReader(t, r)
		waiting, err := r.dial()
		require.NoError(t, err)
		_, err = fmt.Fprintf(waiting, "GET %s HTTP/1.1\r\nHost: gateway\r\n\r\n", responseURL)
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, waiting.Close())
		<-r.observed
		first.readOn(t)
		require.EqualValues(t, 1, l.loaded.Load())
	})
}
