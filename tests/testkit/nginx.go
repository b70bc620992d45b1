package testkit

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nginx is a real web server that is not ours.
type Nginx struct {
	URL string
	Log *Log // its error log

	tb  testing.TB
	dir string
	tls bool
}

// nginxConfig keeps everything nginx writes in its own directory, and runs it as one process.
const nginxConfig = `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
	log_format calls "$request_method $request_uri $http_x_openhqm_id $status";
	access_log calls.log calls;
	client_body_temp_path client_body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	default_type application/octet-stream;
	types { text/plain txt; application/json json; }
	server {
		listen %s %s;
		root files;
		%s
	}
}
`

// StartNginx starts nginx with the given location blocks and static files by name. It ends with the test. Where nginx
// cannot be fetched the test is skipped; with CI=true it fails.
func StartNginx(tb testing.TB, locations string, files map[string]string) *Nginx {
	tb.Helper()
	return startNginx(tb, &Nginx{tb: tb, dir: tb.TempDir()}, locations, files)
}

// StartSecureNginx is StartNginx with TLS and HTTP/2, and the certificate and key of two PEM files. The lines are for
// its server block.
func StartSecureNginx(tb testing.TB, certificate, key, lines string) *Nginx {
	tb.Helper()
	lines = fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s; %s", certificate, key, lines)
	return startNginx(tb, &Nginx{tb: tb, dir: tb.TempDir(), tls: true}, lines, nil)
}

func startNginx(tb testing.TB, n *Nginx, locations string, files map[string]string) *Nginx {
	tb.Helper()
	program := requireProgram(tb, nginxProgram)
	require.NoError(tb, os.Mkdir(filepath.Join(n.dir, "files"), 0o700))
	for name, content := range files {
		require.NoError(tb, os.WriteFile(filepath.Join(n.dir, "files", name), []byte(content), 0o600))
	}
	// The port is free when it is chosen, and may be taken before nginx has it.
	for range 5 {
		if n.start(program, locations) {
			return n
		}
	}
	require.FailNowf(tb, "nginx does not start", "%s", n.Log.Text())
	return nil
}

// nginxProgram returns the path of nginx, which it fetches at the first call.
var nginxProgram = sync.OnceValues(func() (string, error) { return ensure("nginx") })

// start runs nginx on a port that is free, and reports whether it serves there.
func (n *Nginx) start(program, locations string) bool {
	n.tb.Helper()
	address := freeAddress(n.tb)
	config := filepath.Join(n.dir, "nginx.conf")
	options := ""
	n.URL, n.Log = "http://"+address, &Log{}
	if n.tls {
		n.URL, options = "https://"+address, "ssl http2"
	}
	require.NoError(n.tb, os.WriteFile(config, fmt.Appendf(nil, nginxConfig, address, options, locations), 0o600))

	s := startServer(n.tb, n.Log, program, "-p", n.dir, "-c", config, "-e", "stderr")
	if !s.await(n.tb.Context(), n.serves) {
		s.end(syscall.SIGKILL)
		return false
	}
	n.tb.Cleanup(func() { s.end(syscall.SIGTERM) })
	return true
}

// serves reports whether there is any answer.
func (n *Nginx) serves(ctx context.Context) bool {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // whether there is any answer
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, n.URL, nil)
	require.NoError(n.tb, err)
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // a HEAD has none
	return true
}

// Calls returns how many calls nginx has noted.
func (n *Nginx) Calls() int {
	n.tb.Helper()
	record, err := os.ReadFile(filepath.Join(n.dir, "calls.log"))
	require.NoError(n.tb, err)
	return strings.Count(string(record), "/work ")
}

// CallsOf returns nginx's own record of what it was asked for with that X-OpenHQM-ID: method, target, ID and status.
func (n *Nginx) CallsOf(id string) []string {
	n.tb.Helper()
	record, err := os.ReadFile(filepath.Join(n.dir, "calls.log"))
	require.NoError(n.tb, err)
	var calls []string
	for line := range strings.Lines(string(record)) {
		if strings.Contains(line, id) {
			calls = append(calls, strings.TrimSpace(line))
		}
	}
	return calls
}
