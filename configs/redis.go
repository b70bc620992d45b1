package configs

import "strings"

// Redis is where the Redis queue and store are. ResolveRedis returns the URL.
type Redis struct {
	URL          Secret `koanf:"url"`           // redis or rediss, with host and, for most, a password
	WaitReplicas int    `koanf:"wait_replicas"` // that must have a request before it counts as accepted; 0: none
	Shards       int    `koanf:"shards"`        // that requests are spread over, at least 1
	TLS          TLS    `koanf:"tls"`           // only with rediss
}

// validate leaves the URL to ResolveRedis.
func (r *Redis) validate(v *validator) {
	if !r.URL.IsSet() {
		v.bad("redis.url", "is required")
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

// ResolveRedis returns redis.url. It checks the URL, and that the files of redis.tls can be read. It is for processes
// that use Redis. Its error is an *Error that never repeats the URL, which may hold a password.
func (c *Config) ResolveRedis() (string, error) {
	check := secretCheck{origins: c.origins}
	text, err := c.Redis.URL.Resolve()
	if err != nil {
		check.bad("redis.url", err.Error())
		return "", check.report.err()
	}
	text = asciiRedisURL(text)
	switch reason := checkRedisURL(text); {
	case reason != "":
		check.bad("redis.url", reason)
	case strings.HasPrefix(text, "redis:") && c.Redis.TLS != (TLS{}):
		check.bad("redis.url", "must begin with rediss://, because redis.tls is set")
	default:
		check.tls("redis.tls.", c.Redis.TLS)
	}
	return text, check.report.err()
}

func (r *Redis) asciiNames() { r.TLS.ServerName = asciiHost(r.TLS.ServerName) }
