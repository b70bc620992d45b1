package configs

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"
)

// Resolve checks all that this process needs of secrets and of the files of TLS sections: those of its own addresses,
// of the queue, of the store and, in roles that call backends, of the endpoints. It keeps nothing. Its error is an
// *Error with every fault. It blocks as long as reading the files does.
func (c *Config) Resolve() error {
	check := secretCheck{origins: c.origins}
	check.serverTLS("server.tls.", c.Server.TLS)
	check.serverTLS("server.admin_tls.", c.Server.AdminTLS)
	q, known := c.queueType()
	if known && q.store == storeRedis {
		c.resolveRedis(&check)
	}
	if q.resolve != nil {
		q.resolve(c, &check)
	}
	if c.Role != RoleAPI {
		c.resolveEndpoints(&check)
	}
	return check.report.err()
}

// ResolveSecrets checks that every secret of the endpoints can be resolved and that the files of every TLS section can
// be used. It is for roles that call backends; it keeps nothing, see Secret.Resolve. Its error is an *Error with every
// fault. It blocks as long as reading the files does.
func (c *Config) ResolveSecrets() error {
	check := secretCheck{origins: c.origins}
	c.resolveEndpoints(&check)
	return check.report.err()
}

func (c *Config) resolveEndpoints(check *secretCheck) {
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
}

// maxPEM bounds a file of certificates, in bytes. The authorities of all the world are about 250 KiB.
const maxPEM = 4 << 20

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

// tls checks that the files can be used.
func (c *secretCheck) tls(prefix string, t TLS) {
	c.authorities(prefix+"ca_file", t.CAFile)
	c.certificate(prefix, t.CertFile, t.KeyFile)
}

func (c *secretCheck) serverTLS(prefix string, t ServerTLS) {
	c.certificate(prefix, t.CertFile, t.KeyFile)
	c.authorities(prefix+"client_ca_file", t.ClientCAFile)
}

func (c *secretCheck) authorities(key, path string) {
	if content := c.file(key, path); content != nil && !x509.NewCertPool().AppendCertsFromPEM(content) {
		c.bad(key, "holds no certificate in PEM")
	}
}

func (c *secretCheck) certificate(prefix, certFile, keyFile string) {
	shown, private := c.file(prefix+"cert_file", certFile), c.file(prefix+"key_file", keyFile)
	if shown == nil || private == nil {
		return
	}
	if _, err := tls.X509KeyPair(shown, private); err != nil {
		c.bad(prefix+"cert_file", "cannot be used with key_file: "+err.Error())
	}
}

// file returns what a file holds; nil: it cannot be read, or there is none.
func (c *secretCheck) file(key, path string) []byte {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	var content []byte
	if err == nil {
		content, err = readFile(path, maxPEM)
	}
	if err != nil {
		c.bad(key, err.Error())
		return nil
	}
	return content
}

func (c *secretCheck) bad(key, reason string) {
	c.report.add(Fault{Source: originOf(c.origins, key).String(), Key: key, Reason: reason})
}
