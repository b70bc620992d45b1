package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Latency is taken at a rate that leaves the machine idle most of the time.
const (
	latencyRate     = 50 // a second
	latencyRequests = 500
)

// latency measures from the submit to its final answer, beside a POST to the backend itself.
func (b *bench) latency(sys *system) (*latency, error) {
	s, err := b.open(sys)
	if err != nil {
		return nil, err
	}
	defer s.drop()
	p, err := sys.start(roleAll, s)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	direct, err := b.paced(b.directly)
	if err != nil {
		return nil, err
	}
	through, err := b.paced(func() (time.Duration, error) { return b.through(p.address) })
	if err != nil {
		return nil, err
	}
	return &latency{Rate: latencyRate, Direct: quantilesOf(direct), Through: quantilesOf(through)}, nil
}

// paced calls take at the fixed rate, whether the calls before have ended or not, so that a stall is not hidden.
func (b *bench) paced(take func() (time.Duration, error)) ([]time.Duration, error) {
	ticker := time.NewTicker(time.Second / latencyRate)
	defer ticker.Stop()
	var (
		mu    sync.Mutex
		all   []time.Duration
		fault error
		calls sync.WaitGroup
	)
	for range latencyRequests {
		select {
		case <-ticker.C:
		case <-b.ctx.Done():
			calls.Wait()
			return nil, b.ctx.Err()
		}
		calls.Go(func() {
			d, err := take()
			mu.Lock()
			defer mu.Unlock()
			all, fault = append(all, d), errors.Join(fault, err)
		})
	}
	calls.Wait()
	return all, fault
}

func (b *bench) directly() (time.Duration, error) {
	c, err := connect(b.ctx, b.backend.address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	began := time.Now()
	status, body, err := c.exchange(post("/", payload))
	if err == nil && status != 200 {
		err = fmt.Errorf("backend answered %d: %s", status, body)
	}
	return time.Since(began), err
}

// through submits and waits for the final answer.
func (b *bench) through(address string) (time.Duration, error) {
	c, err := connect(b.ctx, address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	began := time.Now()
	status, body, err := c.exchange(post("/api/v1/submit", submitBody))
	if err != nil || status != 202 {
		return 0, errors.Join(err, fmt.Errorf("submit answered %d: %s", status, body))
	}
	var receipt struct {
		ID string `json:"correlation_id"`
	}
	if err := json.Unmarshal(body, &receipt); err != nil {
		return 0, err
	}
	status, body, err = c.exchange(get("/api/v1/response/" + receipt.ID + "?wait=30s"))
	if err != nil || status != 200 {
		return 0, errors.Join(err, fmt.Errorf("response answered %d: %s", status, body))
	}
	return time.Since(began), nil
}

func quantilesOf(all []time.Duration) quantiles {
	slices.Sort(all)
	at := func(q float64) float64 { return all[int(q*float64(len(all)-1))].Seconds() * 1000 }
	return quantiles{P50: at(0.5), P99: at(0.99)}
}
