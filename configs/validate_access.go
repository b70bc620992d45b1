package configs

import (
	"crypto/sha256"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// validateAccess checks who may connect, and how often.
func (s *Server) validateAccess(v *validator) {
	if s.AdminListen != "" && !validListen(s.AdminListen) {
		v.bad("server.admin_listen", "must be empty or host:port, for instance 127.0.0.1:8001")
	}
	for _, name := range s.Hosts {
		if bare := strings.TrimPrefix(name, "*."); name != "*" && (!validHost(bare) || strings.Contains(bare, "*")) {
			v.badValue("server.hosts", quote(name), "must be host names without a port, *.example.com for all below one, or *")
		}
	}
	for _, text := range s.TrustedProxies {
		if _, ok := parsePrefix(text); !ok {
			v.badValue("server.trusted_proxies", quote(text),
				"must be IP addresses or networks, for instance 10.0.0.0/8 or fd00::/8")
		}
	}
	s.RateLimit.validate(v, "server.rate_limit.")
}

// validListen also accepts port 0 for any free one, as server.port does, and no host for all addresses, as Go does.
func validListen(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != "" && !validHost(host) {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func (r *RateLimit) validate(v *validator, prefix string) {
	switch {
	case r.RPS == 0 && r.Burst != 0:
		v.bad(prefix+"burst", "has no effect while rps is 0, which means no limit")
	case r.RPS != 0 && (r.RPS < minRate || r.RPS > maxRate):
		v.bad(prefix+"rps", fmt.Sprintf("must be 0 for no limit, or %g to %d", minRate, maxRate))
	case r.RPS != 0:
		between(v, prefix+"burst", r.Burst, 1, maxRate)
	}
}

// validateKeys compares the keys with each other and with the endpoints.
func (c *Config) validateKeys(v *validator) {
	keys := c.Server.APIKeys
	if len(keys) > maxKeys {
		v.bad("server.api_keys", fmt.Sprintf("must be at most %d", maxKeys))
		return
	}
	names, digests := map[string]bool{}, map[[sha256.Size]byte]string{}
	for i, key := range keys {
		prefix := "server.api_keys." + strconv.Itoa(i) + "."
		key.validate(v, prefix, c.Proxy.names())
		if names[key.Name] {
			v.bad(prefix+"name", "is already the name of another key")
		}
		names[key.Name] = true
		if key.SHA256 == "" {
			v.bad(prefix+"sha256", "is required")
			continue
		}
		if reason := weakKeys()[key.SHA256.Sum()]; reason != "" {
			v.bad(prefix+"sha256", reason)
		}
		if other, again := digests[key.SHA256.Sum()]; again {
			v.bad(prefix+"sha256", "is also that of "+quote(other))
		}
		digests[key.SHA256.Sum()] = key.Name
	}
}

// weakKeys returns why some keys are none, by their hash.
func weakKeys() map[[sha256.Size]byte]string {
	return map[[sha256.Size]byte]string{
		sha256.Sum256(nil):               "is the hash of an empty key: was the variable set that it was made from?",
		sha256.Sum256([]byte{'\n'}):      "is the hash of an empty line: was the variable set that it was made from?",
		sha256.Sum256([]byte(sampleKey)): "is the hash in the examples, whose key everybody knows: make a key of your own",
	}
}

// sampleKey is the key of the hash in default.yaml.
const sampleKey = "foo"

func (k *APIKey) validate(v *validator, prefix string, endpoints []string) {
	switch {
	case k.Name == "":
		v.bad(prefix+"name", "is required")
	case !nameRules["endpoint"].pattern.MatchString(k.Name):
		v.bad(prefix+"name", "must have 1 to 64 of the characters A-Z a-z 0-9 . _ -")
	}
	for _, name := range k.Endpoints {
		if !slices.Contains(endpoints, name) {
			v.badValue(prefix+"endpoints", quote(name),
				"must be among the endpoints: "+strings.Join(endpoints, ", "))
		}
	}
}
