package faults_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/openhqm/openhqm/tests/testkit"
)

// reply is what came back on a connection.
type reply struct {
	code int // 0 when the connection was closed without an answer
	body []byte
}

// exchange opens a connection, lets send write to it whatever it likes, and reads the answer at the same time: a server
// may well refuse what is still being sent. A server that neither answers nor closes before ctx ends is an error. What
// is sent and received counts as movement of the test.
func exchange(ctx context.Context, t *testing.T, address string, send func(net.Conn)) (reply, error) {
	t.Helper()
	var dialer net.Dialer
	plain, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return reply{}, err
	}
	conn := testkit.CountedConn{Conn: plain, Bytes: testkit.Moves(t)}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(0, 1)) }) // ends what is being read
	defer stop()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		send(conn)
	}()
	got, err := readReply(conn)
	_ = conn.Close() // ends send as well
	<-sent
	return got, err
}

func readReply(conn net.Conn) (reply, error) {
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if isClosed(err) {
		return reply{}, nil
	}
	if err != nil {
		return reply{}, fmt.Errorf("read the answer: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil && !isClosed(err) { // what is still being sent makes the server's kernel reset the connection
		return reply{}, fmt.Errorf("read the body of answer %d: %w", response.StatusCode, err)
	}
	return reply{code: response.StatusCode, body: body}, nil
}

func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// text sends a text and then nothing more, but stays.
func text(format string, args ...any) func(net.Conn) {
	return func(conn net.Conn) { _, _ = fmt.Fprintf(conn, format, args...) }
}

// endless sends a beginning, and then a piece again and again until nobody takes it.
func endless(beginning, piece string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := io.WriteString(conn, beginning); err != nil {
			return
		}
		for {
			if _, err := io.WriteString(conn, piece); err != nil {
				return
			}
		}
	}
}

// half sends a text and then says that nothing more will come.
func half(format string, args ...any) func(net.Conn) {
	return func(conn net.Conn) {
		text(format, args...)(conn)
		if counted, ok := conn.(testkit.CountedConn); ok {
			_ = counted.CloseWrite() // the server may have closed it
		}
	}
}

// submission sends a whole submit, with header fields beside Content-Length.
func submission(fields, document string) func(net.Conn) {
	return text("%s%sContent-Length: %d\r\n\r\n%s", submitLine, fields, len(document), document)
}

// submitLine begins a submit; the header goes on after it.
const submitLine = "POST /api/v1/submit HTTP/1.1\r\nHost: gateway\r\n"
