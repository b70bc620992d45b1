package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/openhqm/openhqm/adapters/carrier"
)

// SASL says how to authenticate. Without a mechanism nobody does.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	Username  string
	Password  string
}

// Dial opens a connection to a broker, as net.Dialer.DialContext does. It is called concurrently, and ctx ends within
// 3 s.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// mechanism returns what kafka-go authenticates with; nil: nothing.
func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "":
		return nil, nil //nolint:nilnil // no mechanism is one of the choices
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
	case "SCRAM-SHA-256":
		return scramMechanism(scram.SHA256, s)
	case "SCRAM-SHA-512":
		return scramMechanism(scram.SHA512, s)
	default:
		return nil, fmt.Errorf("kafka.sasl.mechanism %q is none of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512", s.Mechanism)
	}
}

func scramMechanism(algorithm scram.Algorithm, s SASL) (sasl.Mechanism, error) {
	mechanism, err := scram.Mechanism(algorithm, s.Username, s.Password)
	if err != nil {
		// What it says may repeat what it was given.
		return nil, errors.New("kafka.sasl: the user name or password holds characters that SCRAM does not allow")
	}
	return mechanism, nil
}

// conns makes the connections of one client and can end them all: kafka-go waits for answers whose requests were given
// up, and for members to join, longer than a shutdown may take.
type conns struct {
	connect Dial

	mu     sync.Mutex
	open   map[*conn]struct{}
	closed bool
}

// conn is a connection on which nothing waits for ever. kafka-go gives every call a deadline, but takes it away for
// authenticating.
type conn struct {
	net.Conn

	all *conns
}

// SetDeadline sets both deadlines; none means carrier.CallTimeout from now on.
func (c *conn) SetDeadline(t time.Time) error { return c.Conn.SetDeadline(some(t)) }

// SetReadDeadline is like SetDeadline.
func (c *conn) SetReadDeadline(t time.Time) error { return c.Conn.SetReadDeadline(some(t)) }

// SetWriteDeadline is like SetDeadline.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(some(t)) }

func some(deadline time.Time) time.Time {
	if deadline.IsZero() {
		return time.Now().Add(carrier.CallTimeout)
	}
	return deadline
}

// newConns makes conns of what connect opens; nil: a net.Dialer.
func newConns(connect Dial) *conns {
	if connect == nil {
		connect = (&net.Dialer{}).DialContext
	}
	return &conns{connect: connect, open: make(map[*conn]struct{})}
}

func (c *conns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialing, cancel := context.WithTimeout(ctx, carrier.DialTimeout)
	defer cancel()
	made, err := c.connect(dialing, network, address)
	if err != nil {
		return nil, err
	}
	one := &conn{Conn: made, all: c}
	if err := one.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, made.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(net.ErrClosed, made.Close())
	}
	c.open[one] = struct{}{}
	return one, nil
}

// Close ends a connection, and takes it off the list.
func (c *conn) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// cut ends all connections, and any that are made later.
func (c *conns) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for one := range c.open {
		_ = one.Conn.Close() // the next operation on it returns an error
	}
}

// cloned returns a TLS configuration of our own; nil: none.
func cloned(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	return config.Clone()
}
