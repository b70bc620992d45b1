package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// payload is what is submitted and posted; the body of a submit around it has 314 bytes.
var payload = []byte(`{"order":4711,"customer":"c-1f9d","items":[{"sku":"a-1","n":2},{"sku":"b-7","n":1}],"note":"` +
	string(bytes.Repeat([]byte("x"), 176)) + `"}`)

var submitBody = append(append([]byte(`{"payload":`), payload...), '}')

// connection speaks just enough HTTP/1.1 to load a server without costing much itself.
type connection struct {
	net.Conn

	reader *bufio.Reader
}

func connect(ctx context.Context, address string) (*connection, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, reader: bufio.NewReader(conn)}, nil
}

func post(path string, body []byte) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n%s", path, len(body), body)
}

func get(path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path)
}

// exchange sends a request and reads the answer.
func (c *connection) exchange(request []byte) (status int, body []byte, err error) {
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, nil, err
	}
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	length := -1 // to the end of the connection
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		line = bytes.TrimSpace(line)
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case len(line) == 0:
			if length < 0 {
				body, err = io.ReadAll(c.reader)
				return status, body, err
			}
			body = make([]byte, length)
			_, err = io.ReadFull(c.reader, body)
			return status, body, err
		case first:
			status, err = strconv.Atoi(string(bytes.Fields(line)[1]))
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(value))
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// flood sends n equal requests over so many connections, as fast as they are answered with the wanted status.
func flood(ctx context.Context, address string, request []byte, n, connections, want int) error {
	var left atomic.Int64
	left.Store(int64(n))
	var wait sync.WaitGroup
	failures := make(chan error, connections)
	for range connections {
		wait.Go(func() {
			if err := floodOne(ctx, address, request, &left, want); err != nil {
				failures <- err
			}
		})
	}
	wait.Wait()
	close(failures)
	return <-failures
}

func floodOne(ctx context.Context, address string, request []byte, left *atomic.Int64, want int) error {
	c, err := connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for left.Add(-1) >= 0 && ctx.Err() == nil {
		status, body, err := c.exchange(request)
		if err != nil {
			return err
		}
		if status != want {
			return fmt.Errorf("answered %d, not %d: %s", status, want, body)
		}
	}
	return ctx.Err()
}

// depth reads how many requests are unfinished from the metrics.
func depth(ctx context.Context, address string) (int, error) {
	c, err := connect(ctx, address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	_, body, err := c.exchange([]byte("GET /metrics HTTP/1.0\r\n\r\n"))
	if err != nil {
		return 0, err
	}
	total, found := 0, false
	for line := range bytes.Lines(body) {
		if rest, ok := bytes.CutPrefix(line, []byte("openhqm_queue_depth{")); ok {
			_, number, _ := bytes.Cut(rest, []byte("} "))
			value, err := strconv.ParseFloat(string(bytes.TrimSpace(number)), 64)
			if err != nil {
				return 0, err
			}
			total, found = total+int(value), true
		}
	}
	if !found {
		return 0, errors.New("no openhqm_queue_depth in the metrics")
	}
	return total, nil
}
