package configs

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"
)

// ResolveSecrets checks that every secret can be resolved and that the files of every TLS section can be read. It is
// for roles that call backends; it keeps nothing, see Secret.Resolve. Its error is an *Error with every fault. It
// blocks as long as reading the files does.
func (c *Config) ResolveSecrets() error {
	check := secretCheck{origins: c.origins}
	for _, name := range slices.Sorted(maps.Keys(c.Proxy.Endpoints)) {
		endpoint := c.Proxy.Endpoints[name]
		prefix := "proxy.endpoints." + name + "."
		for _, header := range slices.Sorted(maps.Keys(endpoint.Headers)) {
			check.secret(prefix+"headers."+header, endpoint.Headers[header])
		}
		if check.secret(prefix+"auth.token", endpoint.Auth.Token) == "" && endpoint.Auth.Token.IsSet() {
			check.bad(prefix+"auth.token", "resolves to an empty value")
		}
		check.secret(prefix+"auth.password", endpoint.Auth.Password)
		check.tls(prefix+"tls.", endpoint.TLS)
	}
	return check.report.err()
}

type secretCheck struct {
	origins map[string]origin
	report  report
}

// secret resolves one, as far as it can be used in a header.
func (c *secretCheck) secret(key string, s Secret) string {
	value, err := s.Resolve()
	if err != nil {
		c.bad(key, err.Error())
	} else if strings.ContainsFunc(value, unicode.IsControl) {
		c.bad(key, "resolves to a value with control characters, which no header may hold")
	}
	return value
}

func (c *secretCheck) tls(prefix string, t TLS) {
	c.file(prefix+"ca_file", t.CAFile)
	c.file(prefix+"cert_file", t.CertFile)
	c.file(prefix+"key_file", t.KeyFile)
}

// file checks that a file can be opened. What is in it is for TLS to judge.
func (c *secretCheck) file(key, path string) {
	if path == "" {
		return
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err == nil {
		var file *os.File
		if file, err = os.Open(path); err == nil {
			err = file.Close()
		}
	}
	if err != nil {
		c.bad(key, err.Error())
	}
}

func (c *secretCheck) bad(key, reason string) {
	c.report.add(Fault{Source: originOf(c.origins, key).String(), Key: key, Reason: reason})
}
