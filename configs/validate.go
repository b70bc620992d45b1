package configs

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits that nobody should meet: they keep sums from overflowing and typing errors from going unnoticed.
const (
	maxDuration    = 365 * 24 * time.Hour
	maxBody        = gib // bodies are held in memory
	maxBytes       = tib
	maxConnections = 1_000_000
	maxWorkers     = 65_536
	maxAttempts    = 1000
	maxDepth       = 1_000_000_000
	maxKeys        = 1000  // each request is compared with all of them
	minRate        = 0.001 // one in about a quarter of an hour
	maxRate        = 1_000_000
	maxFailures    = 1_000_000
	maxReplicas    = 100
	maxShards      = 256
	maxPartitions  = 10_000
)

func (c *Config) validate(v *validator) {
	oneOf(v, "role", c.Role, RoleAll, RoleAPI, RoleWorker)
	oneOf(v, "log.level", c.Log.Level, LevelDebug, LevelInfo, LevelWarn, LevelError)
	oneOf(v, "log.format", c.Log.Format, FormatAuto, FormatJSON, FormatText)
	c.Server.validate(v)
	c.validateKeys(v)
	between(v, "request.max_age", c.Request.MaxAge, time.Second, maxDuration)
	between(v, "request.idempotency_ttl", c.Request.IdempotencyTTL, time.Second, maxDuration)
	c.Queue.validate(v)
	c.Store.validate(v)
	c.validateQueue(v)
	between(v, "worker.count", c.Worker.Count, 1, maxWorkers)
	between(v, "worker.timeout", c.Worker.Timeout, time.Millisecond, maxDuration)
	between(v, "worker.drain", c.Worker.Drain, 0, time.Hour)
	c.Retry.validate(v, "retry.")
	c.Proxy.validate(v)
	c.validateTransparent(v)
	c.validateMemory(v) // compares keys, so it comes after those for each of them
}

func (t *ServerTLS) validate(v *validator, prefix string) {
	switch {
	case (t.CertFile == "") != (t.KeyFile == ""):
		v.bad(prefix+"cert_file", "must be set together with key_file")
	case t.ClientCAFile != "" && t.CertFile == "":
		v.bad(prefix+"client_ca_file", "needs cert_file and key_file")
	}
}

func (s *Server) validate(v *validator) {
	if !validHost(s.Host) {
		v.bad("server.host", "must be an IP address or a host name; 0.0.0.0 listens on all addresses")
	}
	between(v, "server.port", s.Port, 0, 65535)
	s.TLS.validate(v, "server.tls.")
	s.AdminTLS.validate(v, "server.admin_tls.")
	if s.AdminTLS.On() && s.AdminListen == "" {
		v.bad("server.admin_tls.cert_file", "has no effect without server.admin_listen")
	}
	if s.PublicURL != "" {
		validateURL(v, "server.public_url", s.PublicURL)
	}
	between(v, "server.max_body_size", s.MaxBodySize, 1, maxBody)
	between(v, "server.read_timeout", s.ReadTimeout, time.Millisecond, maxDuration)
	between(v, "server.max_connections", s.MaxConnections, 1, maxConnections)
	between(v, "server.shutdown_delay", s.ShutdownDelay, 0, time.Hour)
	s.validateAccess(v)
}

func (c *Config) validateMemory(v *validator) {
	between(v, "worker.max_bytes", c.Worker.MaxBytes, 1, maxBytes)
	largest := max(c.Server.MaxBodySize, c.Proxy.MaxResponseSize)
	if c.Worker.MaxBytes/2 < largest && v.fine("server.max_body_size", "proxy.max_response_size") {
		v.bad("worker.max_bytes", fmt.Sprintf("must be at least twice the larger of server.max_body_size (%s) and "+
			"proxy.max_response_size (%s): half of it is for requests, half for responses",
			c.Server.MaxBodySize, c.Proxy.MaxResponseSize))
	}
}

func (r *Retry) validate(v *validator, prefix string) {
	between(v, prefix+"max_attempts", r.MaxAttempts, 1, maxAttempts)
	between(v, prefix+"base", r.Base, time.Millisecond, maxDuration)
	between(v, prefix+"max", r.Max, time.Millisecond, maxDuration)
	between(v, prefix+"jitter", r.Jitter, 0, 1)
	switch {
	case r.Base <= r.Max || !v.fine(prefix+"base", prefix+"max"):
	case v.settings[prefix+"base"].inherited:
		v.bad(prefix+"max", "must be at least retry.base, "+formatDuration(r.Base))
	default:
		v.bad(prefix+"base", "must be at most "+prefix+"max, "+formatDuration(r.Max))
	}
	for _, status := range r.OnStatus {
		if status < 100 || status > 599 {
			v.badValue(prefix+"on_status", quote(strconv.Itoa(status)), "must be HTTP statuses, 100 to 599")
		}
	}
}

// validator blames keys for values that are not allowed.
type validator struct {
	report   *report
	settings map[string]setting
	origins  map[string]origin
}

// fine reports whether nothing is wrong with single keys, so that it makes sense to compare them.
func (v *validator) fine(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return v.report.blamed[key] })
}

// bad reports the value of a key, except where it is inherited: then it is reported where it was set.
func (v *validator) bad(key, reason string) { v.badValue(key, v.settings[key].shown, reason) }

// badValue is bad for a part of the value.
func (v *validator) badValue(key, value, reason string) {
	if v.settings[key].inherited {
		return
	}
	v.report.add(Fault{Source: originOf(v.origins, key).String(), Key: key, Value: value, Reason: reason})
}

func oneOf(v *validator, key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.bad(key, "must be one of "+strings.Join(allowed, ", "))
	}
}

func between[T int | float64 | time.Duration | ByteSize](v *validator, key string, value, low, high T) {
	if value < low || value > high {
		v.bad(key, fmt.Sprintf("must be %s to %s", format(low), format(high)))
	}
}

// format writes a value as the configuration does.
func format(value any) string {
	if d, ok := value.(time.Duration); ok {
		return formatDuration(d)
	}
	return fmt.Sprint(value)
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})$`)

func validHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostName.MatchString(host)
}

// validateURL accepts URLs that paths can be appended to.
func validateURL(v *validator, key, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u.Port()):
		v.bad(key, "must be an absolute URL, http or https, for instance https://orders.internal:8443/api")
	case u.User != nil:
		v.bad(key, "must not hold a user or password")
	case !isASCII(u.Hostname()):
		v.bad(key, "must have a host name that DNS can have (RFC 5891), for instance xn--bcher-kva.test for bücher.test")
	case strings.ContainsAny(text, "?#"):
		v.bad(key, "must have neither query nor fragment")
	}
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
