package configs

import (
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkRedisURL says what is wrong with the URL of a Redis in one of the three forms that default.yaml names, or "". It
// repeats nothing of it: a password with a character that is not escaped may be anywhere in it.
func checkRedisURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" || !validPort(u.Port()):
		return "must be a URL that begins with redis:// or rediss:// and names a host"
	case strings.Contains(u.Path+u.RawQuery, "@") || u.Fragment != "":
		return "has an @ or # after the host: in a password @ is written %40, # %23, / %2F, ? %3F and % %25"
	case !redisDatabase.MatchString(u.Path):
		return "may have a database number after the host, and no other path"
	}
	return checkRedisParameters(u.Query())
}

var redisDatabase = regexp.MustCompile(`^/?[0-9]{0,5}$`)

// redisParameters are what may stand behind "?", with the values that each accepts. Other parameters of go-redis would
// break a promise: reads from replicas may be stale, and without a deadline a call may never end.
var redisParameters = map[string]func(value string) bool{
	"addr":          validAddress,
	"master_name":   func(value string) bool { return value != "" },
	"username":      func(string) bool { return true },
	"password":      func(string) bool { return true },
	"client_name":   func(value string) bool { return value != "" && !strings.ContainsAny(value, " \n") },
	"dial_timeout":  validTimeout,
	"read_timeout":  validTimeout,
	"write_timeout": validTimeout,
	"pool_size":     validPoolSize,
	"skip_verify":   func(value string) bool { return value == "true" || value == "false" },
}

func checkRedisParameters(query url.Values) string {
	for name, values := range query {
		valid, known := redisParameters[name]
		switch {
		case !known:
			known := slices.Sorted(maps.Keys(redisParameters))
			return "has a parameter that is none of " + strings.Join(known, ", ")
		case name != "addr" && len(values) > 1:
			return "has the parameter " + name + " more than once"
		case !slices.ContainsFunc(values, func(value string) bool { return !valid(value) }):
		default:
			return "has a parameter " + name + " that cannot be used"
		}
	}
	if !query.Has("master_name") && (query.Has("username") || query.Has("password")) {
		return "has a username or password as a parameter, which is only for the master behind Sentinels"
	}
	return ""
}

func validAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && validHost(host) && port != "" && validPort(port)
}

func validPoolSize(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n > 0 && n <= maxWorkers
}

// validTimeout accepts what go-redis accepts, a duration or a number of seconds, but not "none".
func validTimeout(text string) bool {
	d, err := time.ParseDuration(text)
	if err != nil {
		seconds, numberErr := strconv.ParseUint(text, 10, 16)
		return numberErr == nil && seconds > 0 && seconds <= 60
	}
	return d >= time.Millisecond && d <= time.Minute
}
