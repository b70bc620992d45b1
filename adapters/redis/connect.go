package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Limits of connections. A URL may set other timeouts and another pool size.
const (
	dialTimeout  = 5 * time.Second
	replyTimeout = 5 * time.Second // for one answer, or all answers of a pipeline
	blockingPool = 1024            // connections that may block at once; there are as many as are needed
)

// connect makes two clients of a URL: redis:// or rediss:// for one server, with addr=host:port for further seeds of a
// Cluster, with master_name= for Sentinel (see ParseURL, ParseClusterURL and ParseFailoverURL of go-redis). It dials
// nothing.
func connect(rawURL string) (client, blocking redis.UniversalClient, err error) {
	silence()
	parsed, err := url.Parse(rawURL)
	if err != nil {
		// What url.Parse says repeats the URL, password included.
		return nil, nil, errors.New("redis.url is no valid URL")
	}
	build, err := clientOf(rawURL, parsed.Query())
	if err != nil {
		return nil, nil, fmt.Errorf("redis.url: %w", err)
	}
	return build(0), build(blockingPool), nil
}

// clientOf gives what makes a client with a pool of that size; 0 is the URL's, or go-redis's own.
func clientOf(rawURL string, query url.Values) (func(pool int) redis.UniversalClient, error) {
	switch {
	case query.Has("master_name"):
		return failoverClient(rawURL)
	case query.Has("addr"):
		return clusterClient(rawURL)
	default:
		return singleClient(rawURL)
	}
}

func singleClient(rawURL string) (func(pool int) redis.UniversalClient, error) {
	opts, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	return func(pool int) redis.UniversalClient {
		o := *opts
		o.MaxRetries, o.DialerRetries, o.DisableIdentity = noRetries, 1, true
		o.ContextTimeoutEnabled = true
		o.MaintNotificationsConfig = noNotifications()
		o.DialTimeout = cmp.Or(o.DialTimeout, dialTimeout)
		o.ReadTimeout, o.WriteTimeout = cmp.Or(o.ReadTimeout, replyTimeout), cmp.Or(o.WriteTimeout, replyTimeout)
		o.PoolSize = cmp.Or(pool, o.PoolSize)
		return redis.NewClient(&o)
	}, nil
}

func clusterClient(rawURL string) (func(pool int) redis.UniversalClient, error) {
	opts, err := redis.ParseClusterURL(rawURL)
	if err != nil {
		return nil, err
	}
	return func(pool int) redis.UniversalClient {
		o := *opts
		o.MaxRetries, o.DialerRetries, o.DisableIdentity = noRetries, 1, true
		o.ContextTimeoutEnabled = true
		o.MaintNotificationsConfig = noNotifications()
		o.DialTimeout = cmp.Or(o.DialTimeout, dialTimeout)
		o.ReadTimeout, o.WriteTimeout = cmp.Or(o.ReadTimeout, replyTimeout), cmp.Or(o.WriteTimeout, replyTimeout)
		o.PoolSize = cmp.Or(pool, o.PoolSize)
		return redis.NewClusterClient(&o)
	}, nil
}

func failoverClient(rawURL string) (func(pool int) redis.UniversalClient, error) {
	opts, err := redis.ParseFailoverURL(rawURL)
	if err != nil {
		return nil, err
	}
	return func(pool int) redis.UniversalClient {
		o := *opts
		o.MaxRetries, o.DialerRetries, o.DisableIdentity = noRetries, 1, true
		o.ContextTimeoutEnabled = true
		o.DialTimeout = cmp.Or(o.DialTimeout, dialTimeout)
		o.ReadTimeout, o.WriteTimeout = cmp.Or(o.ReadTimeout, replyTimeout), cmp.Or(o.WriteTimeout, replyTimeout)
		o.PoolSize = cmp.Or(pool, o.PoolSize)
		return redis.NewFailoverClient(&o)
	}, nil
}

// noRetries: a command whose answer was lost may have been done. Those who know what that means try again.
const noRetries = -1

// noNotifications leaves out what only one vendor's cloud offers.
func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// silence stops go-redis from writing lines of its own to stderr, one for each failed connection: what an operator must
// know is in our log, once.
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

// oldestVersion is the first major version of Redis that has all that we use.
const oldestVersion = 7

// requireVersion refuses a server that is too old. One that does not tell its version is taken as it is.
func (db *DB) requireVersion(ctx context.Context) error {
	info, err := db.client.Info(ctx, "server").Result()
	if err != nil {
		return nil //nolint:nilerr // INFO may be forbidden
	}
	version := infoField(info, "redis_version")
	major, err := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
	if err == nil && major < oldestVersion {
		return fmt.Errorf("version %s is too old: %d.0 is the least", version, oldestVersion)
	}
	return nil
}

// infoField finds a line of INFO.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
