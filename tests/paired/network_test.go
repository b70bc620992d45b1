package paired_test

import (
	"context"
	"net"
	"sync"
)

// network is what lies between a test and its broker.
type network struct {
	mu   sync.Mutex
	up   bool
	open map[net.Conn]*line
}

func newNetwork() *network { return &network{up: true, open: make(map[net.Conn]*line)} }

// line is the part of it that one process uses.
type line struct {
	network *network
	dead    bool // guarded by the network's mu
}

func (l *line) dial(ctx context.Context, protocol, address string) (net.Conn, error) {
	made, err := (&net.Dialer{}).DialContext(ctx, protocol, address)
	if err != nil {
		return nil, err
	}
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	l.network.open[made] = l
	l.network.sever()
	return made, nil
}

// cut takes the network away from one process for ever.
func (l *line) cut() {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	l.dead = true
	l.network.sever()
}

// setUp takes the network away from all processes, or brings it back.
func (n *network) setUp(up bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up = up
	n.sever()
}

// sever ends the connections that cannot be. Called with mu held.
func (n *network) sever() {
	for conn, l := range n.open {
		if !n.up || l.dead {
			_ = conn.Close() // whoever uses it gets an error from the next call
			delete(n.open, conn)
		}
	}
}
