package configs

import (
	"net/url"
	"strings"
)

// Redis is where the Redis queue and store are. ResolveRedis returns the URL.
type Redis struct {
	URL          Secret `koanf:"url"`           // redis or rediss, with host and perhaps a user and password
	Username     string `koanf:"username"`      // of Redis, also behind Sentinels; only with Password
	Password     Secret `koanf:"password"`      // of Redis, also behind Sentinels; empty: that of URL
	WaitReplicas int    `koanf:"wait_replicas"` // that must have a request before it counts as accepted; 0: none
	Shards       int    `koanf:"shards"`        // that requests are spread over, at least 1
	TLS          TLS    `koanf:"tls"`           // only with rediss
}

// validate leaves the URL to ResolveRedis.
func (r *Redis) validate(v *validator) {
	if !r.URL.IsSet() {
		v.bad("redis.url", "is required")
	}
	if r.Username != "" && !r.Password.IsSet() {
		v.bad("redis.username", "needs redis.password")
	}
	between(v, "redis.wait_replicas", r.WaitReplicas, 0, maxReplicas)
	between(v, "redis.shards", r.Shards, 1, maxShards)
	r.TLS.validate(v, "redis.tls.", false)
}

// handoverOnRedis checks what handing over on Redis streams needs.
func handoverOnRedis(c *Config, v *validator) {
	if c.Redis.Shards > 1 {
		v.bad("redis.shards", "must be 1 with queue.results_in: other programs read one stream")
	}
}

// ResolveRedis returns redis.url with redis.username and redis.password in it. It checks them, and that the files of
// redis.tls can be used. It is for processes that use Redis. Its error is an *Error that never repeats the URL, which
// may hold a password.
func (c *Config) ResolveRedis() (string, error) {
	check := secretCheck{origins: c.origins}
	text := c.resolveRedis(&check)
	return text, check.report.err()
}

func (c *Config) resolveRedis(check *secretCheck) string {
	password, err := c.Redis.Password.Resolve()
	switch {
	case err != nil:
		check.bad("redis.password", err.Error())
	case password == "" && c.Redis.Password.IsSet():
		check.bad("redis.password", "resolves to an empty value")
	}
	text, err := c.Redis.URL.Resolve()
	if err != nil {
		check.bad("redis.url", err.Error())
		return ""
	}
	text = asciiRedisURL(text)
	reason := checkRedisURL(text)
	switch plain := strings.HasPrefix(text, "redis:"); {
	case !plain:
		check.tls("redis.tls.", c.Redis.TLS)
	case reason == "" && c.Redis.TLS != (TLS{}):
		reason = "must begin with rediss://, because redis.tls is set"
	}
	if reason == "" && password != "" {
		text, reason = withUser(text, c.Redis.Username, password)
	}
	if reason != "" {
		check.bad("redis.url", reason)
	}
	return text
}

// withUser puts a user and a password into a URL that has none, and says what is wrong with it, or "". Behind
// Sentinels, whose own password the URL has, those of Redis are parameters.
func withUser(text, username, password string) (with, reason string) {
	const twice = "has a user or password, and redis.password is set: keep one of them"
	u, err := url.Parse(text)
	if err != nil {
		return "", "cannot be read" // what url.Parse says may repeat a password
	}
	query := u.Query()
	if !query.Has("master_name") {
		if u.User != nil {
			return "", twice
		}
		u.User = url.UserPassword(username, password)
		return u.String(), ""
	}
	if query.Has("username") || query.Has("password") {
		return "", twice
	}
	query.Set("password", password)
	if username != "" {
		query.Set("username", username)
	}
	u.RawQuery = query.Encode()
	return u.String(), ""
}

func (r *Redis) asciiNames() { r.TLS.ServerName = asciiHost(r.TLS.ServerName) }
