package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Limits of connections. A URL may set other timeouts and another pool size.
const (
	dialTimeout  = 5 * time.Second
	blockingPool = 1024 // connections that may block at once; there are as many as are needed

	// BlockFor is how long a blocking read waits for something to read.
	BlockFor = time.Second

	// ReplyTimeout is how long one answer, or all answers of a pipeline, may take.
	ReplyTimeout = 5 * time.Second

	// renewedAfter is how old a connection may get where access can be renewed. Redis never asks for credentials again.
	renewedAfter = 30 * time.Minute
)

// connect makes two clients of a URL: redis:// or rediss:// for one server, with addr=host:port for more seeds of a
// Cluster, with master_name= for Sentinel (see ParseURL, ParseClusterURL and ParseFailoverURL of go-redis). Secure
// configures TLS where the URL asks for it; nil is go-redis's own configuration. With an access, new connections use
// what that holds at the time. It does not dial.
//
// The pool of the first client has the size that the URL asks for, or go-redis's own, but most connections at most; 0:
// there is no such bound.
func connect(
	rawURL string, secure *tls.Config, access *Access, most int,
) (client, blocking redis.UniversalClient, err error) {
	silence()
	parsed, err := url.Parse(rawURL)
	if err != nil {
		// What url.Parse says repeats the URL, password included.
		return nil, nil, errors.New("redis.url is not a valid URL")
	}
	build, err := clientOf(rawURL, parsed.Query(), secure, access)
	if err != nil {
		// What go-redis says repeats a part of it, and a password with a "/" may be there.
		return nil, nil, errors.New("redis.url is not a valid Redis URL")
	}
	return build(pool{most: most}), build(pool{size: blockingPool}), nil
}

// pool says how many connections a client has.
type pool struct {
	size int // 0: that of the URL, or go-redis's own
	most int // bounds the size; 0: nothing does
}

// of returns the size of the pool where the URL asks for one, or 0.
func (p pool) of(url int) int {
	size := cmp.Or(p.size, url)
	if p.most > 0 {
		size = min(cmp.Or(size, usualPool*runtime.GOMAXPROCS(0)), p.most)
	}
	return size
}

// usualPool is what go-redis has for each processor.
const usualPool = 10

// clientOf returns a function that makes a client with such a pool.
func clientOf(
	rawURL string, query url.Values, secure *tls.Config, access *Access,
) (func(pool) redis.UniversalClient, error) {
	switch {
	case query.Has("master_name"):
		opts, err := redis.ParseFailoverURL(rawURL)
		return func(p pool) redis.UniversalClient {
			o := *opts
			settings{
				&o.MaxRetries, &o.DialerRetries, &o.PoolSize, &o.DisableIdentity, &o.ContextTimeoutEnabled,
				&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.ConnMaxLifetime, &o.TLSConfig,
				&o.CredentialsProviderContext, &o.Dialer,
			}.set(p, secure, access)
			return redis.NewFailoverClient(&o)
		}, err
	case query.Has("addr"):
		opts, err := redis.ParseClusterURL(rawURL)
		return func(p pool) redis.UniversalClient {
			o := *opts
			o.MaintNotificationsConfig = noNotifications()
			settings{
				&o.MaxRetries, &o.DialerRetries, &o.PoolSize, &o.DisableIdentity, &o.ContextTimeoutEnabled,
				&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.ConnMaxLifetime, &o.TLSConfig,
				&o.CredentialsProviderContext, &o.Dialer,
			}.set(p, secure, access)
			return redis.NewClusterClient(&o)
		}, err
	default:
		opts, err := redis.ParseURL(rawURL)
		return func(p pool) redis.UniversalClient {
			o := *opts
			o.MaintNotificationsConfig = noNotifications()
			settings{
				&o.MaxRetries, &o.DialerRetries, &o.PoolSize, &o.DisableIdentity, &o.ContextTimeoutEnabled,
				&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.ConnMaxLifetime, &o.TLSConfig,
				&o.CredentialsProviderContext, &o.Dialer,
			}.set(p, secure, access)
			return redis.NewClient(&o)
		}, err
	}
}

// settings are what the options of all three kinds of client have in common.
type settings struct {
	maxRetries, dialerRetries, poolSize    *int
	disableIdentity, contextTimeoutEnabled *bool
	dialTimeout, readTimeout, writeTimeout *time.Duration
	lifetime                               *time.Duration
	tls                                    **tls.Config
	credentials                            *func(context.Context) (username, password string, err error)
	dialer                                 *func(ctx context.Context, network, address string) (net.Conn, error)
}

func (s settings) set(p pool, secure *tls.Config, access *Access) {
	*s.maxRetries, *s.dialerRetries, *s.disableIdentity = noRetries, 1, true
	*s.contextTimeoutEnabled = true
	*s.dialTimeout = cmp.Or(*s.dialTimeout, dialTimeout)
	*s.readTimeout, *s.writeTimeout = cmp.Or(*s.readTimeout, ReplyTimeout), cmp.Or(*s.writeTimeout, ReplyTimeout)
	*s.poolSize = p.of(*s.poolSize)
	*s.tls = merge(*s.tls, secure)
	if access != nil {
		*s.credentials, *s.dialer, *s.lifetime = access.credentials, access.dial(*s.dialTimeout), renewedAfter
	}
}

// merge returns the TLS configuration of connections: the given one, completed by what the URL says; nil: no TLS.
func merge(fromURL, secure *tls.Config) *tls.Config {
	if fromURL == nil || secure == nil {
		return fromURL
	}
	config := secure.Clone()
	config.ServerName = cmp.Or(config.ServerName, fromURL.ServerName)
	config.InsecureSkipVerify = config.InsecureSkipVerify || fromURL.InsecureSkipVerify
	return config
}

// noRetries is for go-redis: a command whose answer was lost may have been done, and the caller knows whether to repeat
// it.
const noRetries = -1

// noNotifications leaves out what only one vendor's cloud offers.
func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// silence stops go-redis from writing a line to stderr for each failed connection: our log has what an operator must
// know, once.
var silence = sync.OnceFunc(logging.Disable)

// address names the server for messages, without user, password and parameters.
func address(rawURL string) string {
	parsed, err := url.Parse(rawURL)
	if err != nil {
		return "redis.url"
	}
	if parsed.Host == "" {
		return parsed.Path // of a socket
	}
	return parsed.Host
}
