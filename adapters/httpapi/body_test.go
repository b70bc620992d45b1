package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

// Times inside synctest bubbles pass at once and exactly.

func TestBodyOverTheLimitIsRefusedWithoutReading(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limit  int64
		header string
	}{
		"far over": {testBodyMax, fmt.Sprintf("Content-Length: %d", 100*testBodyMax)},
		"just":     {testBodyMax, fmt.Sprintf("Content-Length: %d", testBodyMax+1)},
		"asking":   {testBodyMax, fmt.Sprintf("Content-Length: %d\r\nExpect: 100-continue", testBodyMax+1)},
		"small":    {10, "Content-Length: 11"}, // net/http would read the rest before it sends the answer
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startPiped(t, &fakes{}, func(o *Options) { o.MaxBodySize = tt.limit })
				conn := post(t, r, tt.header, "")
				began := time.Now()
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.Zero(t, time.Since(began), "nothing of the body was waited for")
				requireProblem(t, readAnswer(t, response), http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")
				require.True(t, response.Close)
				require.NoError(t, conn.Close())
			})
		})
	}
}

func TestEndlessBodyIsRefusedWhileReading(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{})
	conn := post(t, r, "Transfer-Encoding: chunked", "")
	defer conn.Close()
	go func() {
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<14, strings.Repeat(" ", 1<<14))
		for {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return
			}
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	requireProblem(t, readAnswer(t, response), http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")
	require.True(t, response.Close)
}

func TestBodyOfTheLimitIsAccepted(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f)
	payload := `"` + strings.Repeat("x", testBodyMax-len(`{"payload":""}`)) + `"`
	for _, chunked := range []bool{false, true} {
		var body io.Reader = strings.NewReader(`{"payload":` + payload + `}`)
		if chunked {
			body = io.MultiReader(body) // hides the size
		}
		response, err := r.client.Post("http://gateway/api/v1/submit", jsonType, body)
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, readAnswer(t, response).StatusCode)
		require.Equal(t, payload, string((<-given).Body))
	}
}

func TestLargeBodiesShareABudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		proceed, held := make(chan struct{}), make(chan struct{})
		r := startPiped(t, &fakes{submit: func(_ context.Context, s ports.Submission) (ports.Receipt, error) {
			if len(s.Body) > testBodyMax/2 {
				close(held)
				<-proceed
			}
			return ports.Receipt{ID: testID}, nil
		}})
		document := func(size int) string { return `{"payload":"` + strings.Repeat("x", size) + `"}` }
		first := make(chan int, 1)
		go func() { first <- r.do("POST", "/api/v1/submit", document(testBodyMax-100)).StatusCode }()
		<-held

		small := r.do("POST", "/api/v1/submit", document(smallBody-100))
		require.Equal(t, http.StatusAccepted, small.StatusCode, "small ones need no room")
		began := time.Now()
		refused := r.do("POST", "/api/v1/submit", document(2*smallBody))
		requireProblem(t, refused, http.StatusServiceUnavailable, "OVERLOADED")
		require.Equal(t, busyRetryAfter, refused.Header.Get("Retry-After"))
		require.Equal(t, testTimeout, time.Since(began))
		chunk := fmt.Sprintf("%x\r\n%s", 3*smallBody, strings.Repeat(" ", smallBody+1))
		conn := post(t, r, "Transfer-Encoding: chunked", chunk)
		requireClosingProblem(t, conn, http.StatusServiceUnavailable, "OVERLOADED")

		second := make(chan int, 1)
		go func() { second <- r.do("POST", "/api/v1/submit", document(2*smallBody)).StatusCode }()
		synctest.Wait()
		close(proceed)
		require.Equal(t, http.StatusAccepted, <-first)
		require.Equal(t, http.StatusAccepted, <-second, "there is room again")
	})
}

func TestTimeToReadBeginsWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	large := `{"payload":"` + strings.Repeat("x", 2*smallBody) + `"}`
	for name, tt := range map[string]struct{ header, first, second string }{
		"sized":   {fmt.Sprintf("Content-Length: %d", len(large)), large[:1], large[1:]},
		"chunked": {"Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s", len(large), large), "\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, given := accepting()
				submit := f.submit
				const blocked = testTimeout - 10*time.Second
				f.submit = func(ctx context.Context, s ports.Submission) (ports.Receipt, error) {
					if len(s.Body) > 3*smallBody { // of the first, which holds all the room until then
						<-time.After(blocked)
						return ports.Receipt{ID: testID}, nil
					}
					return submit(ctx, s)
				}
				r := startPiped(t, f)
				blocking := `{"payload":"` + strings.Repeat("x", testBodyMax-100) + `"}`
				first := make(chan int, 1)
				go func() { first <- r.do("POST", "/api/v1/submit", blocking).StatusCode }()
				synctest.Wait()
				conn := post(t, r, tt.header, "")
				late := time.After(blocked + readPatience - time.Second)
				go func() {
					_, _ = io.WriteString(conn, tt.first)
					<-late
					_, _ = io.WriteString(conn, tt.second)
				}()
				require.Equal(t, http.StatusAccepted, <-first)
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusAccepted, readAnswer(t, response).StatusCode)
				require.Equal(t, large, `{"payload":`+string((<-given).Body)+`}`)
				require.NoError(t, conn.Close())
			})
		})
	}
}

func TestRefusedBodyReleasesItsMemory(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f)
	large := `{"payload":"` + strings.Repeat("x", testBodyMax-100) + `"}`
	for _, broken := range []string{large[:len(large)-1] + " ", strings.Replace(large, "payload", "paylaod", 1)} {
		requireProblem(t, r.do("POST", "/api/v1/submit", broken), http.StatusBadRequest, "VALIDATION_ERROR")
	}
	conn := post(t, r, fmt.Sprintf("Content-Length: %d", len(large)), large[:len(large)/2])
	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.CloseWrite())
	requireClosingProblem(t, conn, http.StatusBadRequest, "VALIDATION_ERROR")
	require.Equal(t, http.StatusAccepted, r.do("POST", "/api/v1/submit", large).StatusCode)
	require.NotEmpty(t, given)
}

func TestMalformedBodyIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{})
	for _, tt := range []struct{ header, body string }{
		{"Transfer-Encoding: chunked", "nonsense\r\n{}\r\n0\r\n\r\n"},
		{"Transfer-Encoding: chunked", "2\r\n{}x\r\n0\r\n\r\n"},
		{"Transfer-Encoding: chunked", "fffffffffffffffff\r\n"},
	} {
		requireClosingProblem(t, post(t, r, tt.header, tt.body), http.StatusBadRequest, "VALIDATION_ERROR")
	}
}

// TestStalledUploadsLeaveRoomForOtherClients is about uploads of unknown size: each holds room for the largest.
func TestStalledUploadsLeaveRoomForOtherClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, given := accepting()
		r := startPiped(t, f, func(o *Options) {
			o.Access.Keys = testKeys()
			o.MaxBodyBytes = clientShare * testBodyMax
		})
		chunk := fmt.Sprintf("%x\r\n%s", 3*smallBody, strings.Repeat(" ", smallBody+1))
		var stalled []net.Conn
		for range 2 * clientShare {
			stalled = append(stalled, post(t, r, "X-OpenHQM-Key: shop\r\nTransfer-Encoding: chunked", chunk))
		}
		synctest.Wait()
		large := `{"payload":"` + strings.Repeat("x", 2*smallBody) + `"}`
		began := time.Now()
		require.Equal(t, http.StatusAccepted, r.do("POST", "/api/v1/submit", large, "X-OpenHQM-Key", "ops").StatusCode)
		require.NotEmpty(t, (<-given).Body)
		small := r.do("POST", "/api/v1/submit", `{}`, "X-OpenHQM-Key", "shop")
		require.Equal(t, http.StatusAccepted, small.StatusCode, "small ones need no room")
		require.Zero(t, time.Since(began))
		for _, conn := range stalled {
			require.NoError(t, conn.Close())
		}
	})
}
