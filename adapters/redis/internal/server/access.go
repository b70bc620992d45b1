package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Access holds what a connection needs: user, password and TLS. It can be renewed while connections are open. Those
// keep what they were made with, and end after half an hour at most, never in the middle of a command. The password of
// Sentinels cannot be renewed. It is safe for concurrent use.
type Access struct{ current atomic.Pointer[access] }

type access struct {
	server             string // that it is for
	username, password string
	secure             *tls.Config // nil: no TLS
}

// Renew makes new connections use the user and password of a URL, and a TLS configuration. The first call decides which
// server it is for; the URL of another server is an error. After an error, which names no secret, nothing has changed.
// One goroutine at a time may call it.
func (a *Access) Renew(rawURL string, secure *tls.Config) error {
	next, err := accessOf(rawURL)
	if err != nil {
		return errNoURL // what go-redis says may repeat a password
	}
	if before := a.current.Load(); before != nil && before.server != next.server {
		return errOtherServer
	}
	next.secure = merge(next.secure, secure)
	a.current.Store(next)
	return nil
}

var (
	errNoURL       = errors.New("redis.url is not a valid Redis URL")
	errOtherServer = errors.New("redis.url names another server, which needs a restart")
)

func accessOf(rawURL string) (*access, error) {
	parsed, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	query := parsed.Query()
	server := fmt.Sprint(parsed.Scheme, parsed.Host, parsed.Path, query["addr"], query["master_name"])
	switch {
	case query.Has("master_name"):
		opts, err := redis.ParseFailoverURL(rawURL)
		if err != nil {
			return nil, err
		}
		return &access{server, opts.Username, opts.Password, opts.TLSConfig}, nil
	case query.Has("addr"):
		opts, err := redis.ParseClusterURL(rawURL)
		if err != nil {
			return nil, err
		}
		return &access{server, opts.Username, opts.Password, opts.TLSConfig}, nil
	default:
		opts, err := redis.ParseURL(rawURL)
		if err != nil {
			return nil, err
		}
		return &access{server, opts.Username, opts.Password, opts.TLSConfig}, nil
	}
}

// credentials is for go-redis, which asks at each new connection.
func (a *Access) credentials(context.Context) (username, password string, err error) {
	current := a.current.Load()
	return current.username, current.password, nil
}

// keepAlive is go-redis's own, which finds out within a minute that the other end is gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}

// dial returns a dialer for go-redis, which has none that can change its TLS.
func (a *Access) dial(timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: timeout, KeepAliveConfig: keepAlive}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		secure := a.current.Load().secure
		if secure == nil {
			return plain.DialContext(ctx, network, address)
		}
		return (&tls.Dialer{NetDialer: plain, Config: secure}).DialContext(ctx, network, address)
	}
}
