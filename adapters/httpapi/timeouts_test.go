package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Times inside synctest bubbles pass at once and exactly.

func TestWaitMayBeLongerThanTheReadTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPiped(t, reading(func(
			ctx context.Context, _ domain.ID, wait time.Duration,
		) (domain.Record, error) {
			select {
			case <-time.After(wait):
				return pendingRecord, nil
			case <-ctx.Done():
				return domain.Record{}, ctx.Err()
			}
		}), func(o *Options) { o.ReadTimeout = 10 * time.Second })
		for range 2 { // the second on the same connection
			began := time.Now()
			require.Equal(t, http.StatusAccepted, r.do("GET", responseURL+"?wait=60s", "").StatusCode)
			require.Equal(t, longestHold, time.Since(began))
		}
	})
}

func TestSubmitMayTakeLongerThanTheReadTimeout(t *testing.T) {
	t.Parallel()
	for name, large := range map[string]bool{"small": false, "large": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startPiped(t, &fakes{submit: func(
					ctx context.Context, _ ports.Submission,
				) (ports.Receipt, error) {
					select {
					case <-time.After(25 * time.Second):
						return ports.Receipt{ID: testID}, nil
					case <-ctx.Done():
						return ports.Receipt{}, ctx.Err()
					}
				}}, func(o *Options) { o.ReadTimeout = 10 * time.Second })
				body := `{}`
				if large {
					body += strings.Repeat(" ", 2*smallBody)
				}
				require.Equal(t, http.StatusAccepted, r.do("POST", "/api/v1/submit", body).StatusCode)
			})
		})
	}
}

func TestHangingCallIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		r := startPiped(t, &fakes{
			submit: func(ctx context.Context, _ ports.Submission) (ports.Receipt, error) {
				return ports.Receipt{}, hang(ctx)
			},
			state:  func(ctx context.Context, _ domain.ID) (domain.Record, error) { return domain.Record{}, hang(ctx) },
			cancel: func(ctx context.Context, _ domain.ID) (domain.Record, error) { return domain.Record{}, hang(ctx) },
			wait: func(ctx context.Context, _ domain.ID, _ time.Duration) (domain.Record, error) {
				return domain.Record{}, hang(ctx)
			},
		})
		for _, call := range [][3]string{
			{"POST", "/api/v1/submit", `{}`},
			{"GET", statusURL},
			{"DELETE", statusURL},
			{"GET", responseURL},
			{"GET", responseURL + "?wait=60s"},
		} {
			a := r.do(call[0], call[1], call[2])
			requireProblem(t, a, http.StatusServiceUnavailable, "QUEUE_UNAVAILABLE")
		}
	})
}

func TestHeaderThatStopsLosesItsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPiped(t, &fakes{})
		began := time.Now()
		require.Empty(t, r.exchange("GET /health HTTP/1.1\r\nHost: ga"))
		require.Equal(t, headerTimeout, time.Since(began))
	})
}

func TestBodyThatStopsIsTimedOut(t *testing.T) {
	t.Parallel()
	chunk := fmt.Sprintf("%x\r\n%s", 3*smallBody, strings.Repeat(" ", smallBody+1))
	for name, tt := range map[string]struct {
		header, body string
		want         time.Duration
	}{
		"none of it":      {"Content-Length: 10", "", testTimeout},
		"half of it":      {"Content-Length: 10", `{"pay`, testTimeout},
		"half a chunk":    {"Transfer-Encoding: chunked", "a\r\n{\"pay", testTimeout},
		"no last chunk":   {"Transfer-Encoding: chunked", "2\r\n{}\r\n", testTimeout},
		"none of a lot":   {"Content-Length: 100000", "", readPatience},
		"half of a lot":   {"Content-Length: 100000", strings.Repeat(" ", 50000), readPatience},
		"a lot in chunks": {"Transfer-Encoding: chunked", chunk, readPatience},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startPiped(t, &fakes{})
				began := time.Now()
				conn := post(t, r, tt.header, tt.body)
				requireClosingProblem(t, conn, http.StatusRequestTimeout, "REQUEST_TIMEOUT")
				require.Equal(t, tt.want, time.Since(began))
				require.Equal(t, observed{"POST", "/api/v1/submit", 408}, <-r.observed)
			})
		})
	}
}

// trickle sends a piece of a large body at a time, with a pause before each, and returns the outcome and its time.
func trickle(t *testing.T, timeout time.Duration, piece int, pause time.Duration) (status int, took time.Duration) {
	t.Helper()
	f, _ := accepting()
	r := startPiped(t, f, func(o *Options) { o.ReadTimeout = timeout })
	document := `{"payload":"` + strings.Repeat("x", 5*readPiece) + `"}`
	began := time.Now()
	conn := post(t, r, fmt.Sprintf("Content-Length: %d", len(document)), "")
	trickled := make(chan struct{})
	go func() {
		defer close(trickled)
		for sent := 0; sent < len(document); sent += piece {
			<-time.After(pause)
			if _, err := io.WriteString(conn, document[sent:min(sent+piece, len(document))]); err != nil {
				return
			}
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	took, status = time.Since(began), readAnswer(t, response).StatusCode
	require.NoError(t, conn.Close())
	<-trickled
	return status, took
}

// TestLargeBodyHasToKeepAPace holds that room which others wait for is not held by a client that hardly sends, while
// one that is slow but steady gets through, in the time that there is for all.
func TestLargeBodyHasToKeepAPace(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		timeout time.Duration
		piece   int
		pause   time.Duration
		want    int
		took    time.Duration
	}{
		"slow but steady": {testTimeout, readPiece, 9 * time.Second, http.StatusAccepted, 6 * 9 * time.Second},
		"byte by byte":    {testTimeout, 1, time.Second / 2, http.StatusRequestTimeout, readPatience},
		"too long in all": {testTimeout / 2, readPiece, 9 * time.Second, http.StatusRequestTimeout, testTimeout / 2},
		"little time":     {time.Second, 1, time.Second / 2, http.StatusRequestTimeout, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				status, took := trickle(t, tt.timeout, tt.piece, tt.pause)
				require.Equal(t, tt.want, status)
				require.Equal(t, tt.took, took)
			})
		})
	}
}

func TestBodyThatTricklesForEverIsTimedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPiped(t, &fakes{})
		conn := post(t, r, "Transfer-Encoding: chunked", "")
		trickled := make(chan struct{})
		go func() {
			defer close(trickled)
			for {
				if _, err := io.WriteString(conn, "1\r\n \r\n"); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}()
		requireClosingProblem(t, conn, http.StatusRequestTimeout, "REQUEST_TIMEOUT")
		<-trickled
	})
}

func TestBodyThatNoRouteReadsIsTimedOutToo(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"GET /health/live", "POST /nowhere", "DELETE /api/v1/status/x"} {
		synctest.Test(t, func(t *testing.T) {
			r := startPiped(t, &fakes{})
			conn, err := r.dial()
			require.NoError(t, err)
			_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: gateway\r\nContent-Length: 10\r\n\r\nhalf", target)
			require.NoError(t, err)
			reply, err := io.ReadAll(conn)
			require.NoError(t, err, "an answer, and then the end")
			require.Contains(t, string(reply), "Connection: close")
			require.NoError(t, conn.Close())
		})
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPiped(t, &fakes{})
		began := time.Now()
		require.Contains(t, r.exchange("GET /health/live HTTP/1.1\r\nHost: gateway\r\n\r\n"), "200 OK")
		require.Equal(t, idleTimeout, time.Since(began))
	})
}

// largeAnswer is a server whose answer has many pieces.
func largeAnswer(t *testing.T) *rig {
	t.Helper()
	record := pendingRecord
	record.Status = domain.Completed
	record.Result = &domain.Result{Response: &domain.Response{StatusCode: 200, Body: make([]byte, 10*writePiece)}}
	return startPiped(t, found(record))
}

func TestClientThatDoesNotReadLosesItsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := largeAnswer(t)
		conn, err := r.dial()
		require.NoError(t, err)
		began := time.Now()
		_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: gateway\r\n\r\n", responseURL)
		require.NoError(t, err)
		<-r.observed
		require.Equal(t, testTimeout, time.Since(began), "the handler has given up")
		require.NoError(t, conn.Close())
	})
}

// readPieces reads a large answer piece by piece, with a pause before each.
func readPieces(t *testing.T, pause time.Duration) (size, announced int64, took time.Duration, err error) {
	t.Helper()
	conn, err := largeAnswer(t).dial()
	require.NoError(t, err)
	defer conn.Close()
	began := time.Now()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n", responseURL)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	for err == nil {
		<-time.After(pause)
		var n int64
		n, err = io.CopyN(io.Discard, response.Body, writePiece)
		size += n
	}
	return size, response.ContentLength, time.Since(began), err
}

func TestClientThatReadsSlowlyGetsItAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		size, announced, took, err := readPieces(t, 1500*time.Millisecond)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, announced, size)
		require.Greater(t, took, testTimeout, "the time for a piece is not that for the whole")
	})
}

func TestClientThatTricklesDoesNotHoldItsRoomForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pause := testTimeout * 9 / 10
		size, announced, took, err := readPieces(t, pause)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Less(t, size, announced)
		bound := testTimeout + time.Duration(announced)*time.Second/slowestReader
		require.LessOrEqual(t, took, bound+2*pause)
	})
}

func TestMetricsAreNotHeldUpByAClientEither(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPiped(t, &fakes{})
		conn, err := r.dial()
		require.NoError(t, err)
		_, err = io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: gateway\r\n\r\n")
		require.NoError(t, err)
		<-time.After(time.Hour)
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "the server has closed it, unread")
		require.NoError(t, conn.Close())
	})
}
