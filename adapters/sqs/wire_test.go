package sqs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// client makes an HTTP client over a wire, which ends with the test.
func client(tb testing.TB, w *wire) *http.Client {
	tb.Helper()
	base := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(base.CloseIdleConnections)
	w.over(base)
	return &http.Client{Transport: w}
}

// oneByOne makes one request at a time.
type oneByOne struct {
	base http.RoundTripper
	mu   sync.Mutex
}

// CloseIdleConnections closes those of the base.
func (o *oneByOne) CloseIdleConnections() { (&http.Client{Transport: o.base}).CloseIdleConnections() }

func (o *oneByOne) RoundTrip(req *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.base.RoundTrip(req)
}

// wire is what lies between a queue and its server.
type wire struct {
	base http.RoundTripper

	mu     sync.Mutex
	cut    context.Context // ends when the process is cut off
	end    context.CancelFunc
	counts map[string]int // requests, by action
	polls  map[string]int // under way, by queue
	most   int            // polls of one queue at once
	hasty  int            // polls that did not wait for messages
	answer func(action, body string) *http.Response
}

func newWire() *wire {
	w := &wire{counts: make(map[string]int), polls: make(map[string]int)}
	w.cut, w.end = context.WithCancel(context.Background())
	return w
}

func (w *wire) over(base http.RoundTripper) { w.base = base }

// vanish takes the network away from a process for ever: what it holds it cannot hand back.
func (w *wire) vanish() { w.end() }

// inject answers requests in place of the server; nil lets one through.
func (w *wire) inject(answer func(action, body string) *http.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

// count is how many requests there were of an action; "": of all.
func (w *wire) count(action string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if action != "" {
		return w.counts[action]
	}
	n := 0
	for _, of := range w.counts {
		n += of
	}
	return n
}

var errCut = errors.New("the network is away")

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	_, action, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	answer := w.begin(action, string(body))
	defer w.finish(action, string(body))
	if w.cut.Err() != nil {
		return nil, errCut
	}
	if answer != nil {
		if injected := answer(action, string(body)); injected != nil {
			injected.Request = req
			return injected, nil
		}
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(w.cut, cancel)()
	passed := req.Clone(ctx)
	passed.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := w.base.RoundTrip(passed)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	whole, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(whole))
	return resp, err
}

func (w *wire) begin(action, body string) func(action, body string) *http.Response {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[action]++
	if action == "ReceiveMessage" {
		asked := pollOf(body)
		w.polls[asked.QueueURL]++
		w.most = max(w.most, w.polls[asked.QueueURL])
		if asked.WaitTimeSeconds == 0 {
			w.hasty++
		}
	}
	return w.answer
}

func (w *wire) finish(action, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if action == "ReceiveMessage" {
		w.polls[pollOf(body).QueueURL]--
	}
}

// poll is what a ReceiveMessage asks for.
type poll struct {
	QueueURL        string
	WaitTimeSeconds int
}

func pollOf(body string) (p poll) {
	_ = json.Unmarshal([]byte(body), &p) // the SDK has written it
	return p
}

// answer is what SQS says.
func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:   io.NopCloser(strings.NewReader(body)),
	}
}

func answered(body string) *http.Response { return answer(http.StatusOK, body) }

// refusal is an error of SQS, which repeats what it was sent.
func refusal(status int, code string) *http.Response {
	return answer(status, `{"__type":"com.amazonaws.sqs#`+code+`","message":"token no-such-secret"}`)
}

// failures answers a batch of which some fail, by a word of their body: true, it is the sender's fault.
func failures(body string, faults map[string]bool) *http.Response {
	var batch struct {
		Entries []struct{ ID, MessageBody string }
	}
	_ = json.Unmarshal([]byte(body), &batch)
	var failed []map[string]any
	for _, entry := range batch.Entries {
		if fault, ok := faults[entry.MessageBody]; ok {
			failed = append(failed, map[string]any{
				"Id": entry.ID, "SenderFault": fault, "Code": "InvalidMessageContents", "Message": "no",
			})
		}
	}
	document, _ := json.Marshal(map[string]any{"Failed": failed, "Successful": []any{}})
	return answered(string(document))
}

// polling is how many polls are under way.
func (w *wire) polling() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, of := range w.polls {
		n += of
	}
	return n
}
