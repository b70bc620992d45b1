package main

import (
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// asked counts the requests to an SQS, by the name of the call. It stands between the program and the server, and so
// only where rates do not count. A nil one has counted nothing.
type asked struct {
	proxy http.Server

	mu    sync.Mutex
	calls map[string]int
}

// ask puts a counter between programs and the SQS of a store.
func (s *store) ask(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	to := &url.URL{Scheme: "http", Host: s.broker.address}
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{MaxIdleConns: sqsConns, MaxIdleConnsPerHost: sqsConns},
		ErrorLog:  log.New(io.Discard, "", 0), // a program that stops cuts its polls off
	}
	a := &asked{calls: make(map[string]int)}
	a.proxy.ReadHeaderTimeout = time.Minute
	a.proxy.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.count(r.Header.Get("X-Amz-Target"))
		forward.ServeHTTP(w, r)
	})
	go func() { _ = a.proxy.Serve(listener) }()
	s.asked, s.broker = a, &process{pid: s.broker.pid, address: listener.Addr().String()}
	return nil
}

// count counts a call, as "AWS JSON protocol 1.0" in the documentation of SQS names it.
func (a *asked) count(target string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls[strings.TrimPrefix(target, "AmazonSQS.")]++
}

// soFar returns the counts.
func (a *asked) soFar() map[string]int {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.calls)
}

// per spreads what was asked for since then over n.
func (a *asked) per(n float64, before map[string]int) map[string]float64 {
	all := make(map[string]float64)
	for name, count := range a.soFar() {
		if count -= before[name]; count > 0 {
			all[name] = float64(count) / n
		}
	}
	return all
}

func (a *asked) close() {
	if a != nil {
		_ = a.proxy.Close()
	}
}

// economy counts the requests to SQS for one request that is accepted and worked off under load.
func (b *bench) economy(sys *system) (map[string]float64, error) {
	s, err := b.open(sys)
	if err != nil {
		return nil, err
	}
	defer s.drop()
	if err := s.ask(b.ctx); err != nil {
		return nil, err
	}
	p, err := sys.start(roleAll, s)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	before := s.asked.soFar()
	if err := errors.Join(b.submit(p.address, b.requests), sys.drained(b.ctx, p, s)); err != nil {
		return nil, err
	}
	per := s.asked.per(float64(b.requests), before)
	delete(per, "GetQueueAttributes") // that is the bench, which looks whether all is done
	return per, nil
}
