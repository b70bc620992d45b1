package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// An exchange is one request that a client makes of the backend, and then of the gateway, whose replay it fetches.
type exchange struct {
	Method  string      `json:"method"`
	Target  string      `json:"target"` // path and query, after one of the next two
	Direct  string      `json:"direct"`
	Proxied string      `json:"proxied"`
	Raw     string      `json:"raw"` // URL of the replay, with {id}
	Header  [][2]string `json:"header"`
	Body    []byte      `json:"body"` // nil: none
	Chunked bool        `json:"chunked"`
}

// An outcome is what came of an exchange.
type outcome struct {
	Direct   reply `json:"direct"`
	Accepted reply `json:"accepted"`
	Raw      reply `json:"raw"`
}

type reply struct {
	Status int         `json:"status"`
	Fields [][2]string `json:"header"`
	Body   []byte      `json:"body"`
}

// header returns the fields by their canonical names.
func (r *reply) header() http.Header {
	header := make(http.Header)
	for _, field := range r.Fields {
		header.Add(field[0], field[1])
	}
	return header
}

// A client makes exchanges, with a program that people use.
type client func(t *testing.T, exchanges []exchange) []outcome

// missing skips a test that needs what this machine does not have. With CI=true it fails.
func missing(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("%s cannot be had here: %v", what, err)
	}
	require.NoError(t, err)
}

// python returns the path of a Python with the packages that tests need.
func python(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../../scripts/python/ensure")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	path, err := cmd.Output()
	missing(t, "Python with its packages: "+stderr.String(), err)
	return strings.TrimSpace(string(path))
}

// script is a client that reads exchanges and writes outcomes, as JSON.
func script(t *testing.T, exchanges []exchange, program, file string) []outcome {
	t.Helper()
	given, err := json.Marshal(exchanges)
	require.NoError(t, err)
	ctx, cancel := testkit.Patiently(t)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, filepath.Join("testdata", file))
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = bytes.NewReader(given), &stderr
	written, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var outcomes []outcome
	require.NoError(t, json.Unmarshal(written, &outcomes))
	return outcomes
}

func pythonRequests(t *testing.T, exchanges []exchange) []outcome {
	t.Helper()
	return script(t, exchanges, python(t), "client.py")
}

func nodeFetch(t *testing.T, exchanges []exchange) []outcome {
	t.Helper()
	node, err := exec.LookPath("node")
	missing(t, "node", err)
	return script(t, exchanges, node, "client.mjs")
}

// steps is a client that makes one request at a time.
func steps(t *testing.T, exchanges []exchange, ask func(e *exchange, method, url string, upload bool) reply) []outcome {
	t.Helper()
	outcomes := make([]outcome, len(exchanges))
	for i := range exchanges {
		e, o := &exchanges[i], &outcomes[i]
		fetch := http.MethodGet
		if e.Method == http.MethodHead {
			fetch = http.MethodHead
		}
		o.Direct = ask(e, e.Method, e.Direct+e.Target, true)
		o.Accepted = ask(e, e.Method, e.Proxied+e.Target, true)
		o.Raw = ask(e, fetch, strings.Replace(e.Raw, "{id}", o.Accepted.header().Get("X-Correlation-Id"), 1), false)
	}
	return outcomes
}

func goClient(t *testing.T, exchanges []exchange) []outcome {
	t.Helper()
	web := &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		Timeout:       testkit.Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(web.CloseIdleConnections)
	return steps(t, exchanges, func(e *exchange, method, url string, upload bool) reply {
		var body io.Reader
		if upload && e.Body != nil {
			body = bytes.NewReader(e.Body)
		}
		if e.Chunked && body != nil {
			body = io.MultiReader(body) // whose length nobody knows
		}
		request, err := http.NewRequestWithContext(t.Context(), method, url, body)
		require.NoError(t, err)
		for _, field := range e.Header {
			if upload {
				request.Header.Add(field[0], field[1])
			}
		}
		response, err := web.Do(request)
		require.NoError(t, err)
		return readReply(t, response)
	})
}

func readReply(t *testing.T, response *http.Response) reply {
	t.Helper()
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	r := reply{Status: response.StatusCode, Body: content}
	for name, values := range response.Header {
		for _, value := range values {
			r.Fields = append(r.Fields, [2]string{name, value})
		}
	}
	return r
}

// curl is a client with options that are for the gateway alone, such as another version of HTTP.
func curl(options ...string) client {
	return func(t *testing.T, exchanges []exchange) []outcome {
		t.Helper()
		program, err := exec.LookPath("curl")
		missing(t, "curl", err)
		return steps(t, exchanges, func(e *exchange, method, url string, upload bool) reply {
			args := append([]string{"--http1.1"}, curlArguments(t, e, method, upload)...)
			if !strings.HasPrefix(url, e.Direct+"/") {
				args = append(args, options...)
			}
			r := runCurl(t, program, append(args, url))
			if method == http.MethodHead { // curl writes the fields in place of the content
				r.Body = nil
			}
			return r
		})
	}
}

func curlArguments(t *testing.T, e *exchange, method string, upload bool) []string {
	t.Helper()
	args := []string{"--silent", "--show-error", "--globoff", "--path-as-is", "--max-time", "60"}
	if method == http.MethodHead {
		args = append(args, "--head")
	} else {
		args = append(args, "--request", method)
	}
	if !upload {
		return args
	}
	for _, field := range e.Header {
		args = append(args, "--header", field[0]+": "+field[1])
	}
	if e.Body != nil {
		file := filepath.Join(t.TempDir(), "body")
		require.NoError(t, os.WriteFile(file, e.Body, 0o600))
		args = append(args, "--data-binary", "@"+file)
	}
	if e.Chunked {
		args = append(args, "--header", "Transfer-Encoding: chunked")
	}
	return args
}

func runCurl(t *testing.T, program string, args []string) reply {
	t.Helper()
	dir := t.TempDir()
	fields, content := filepath.Join(dir, "fields"), filepath.Join(dir, "content")
	args = append([]string{"--disable", "--noproxy", "*", "--dump-header", fields, "--output", content}, args...)
	output, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	require.NoErrorf(t, err, "curl %q: %s", args, output)
	return reply{Status: lastStatus(t, fields), Fields: lastFields(t, fields), Body: readContent(t, content)}
}

// readContent returns what curl wrote, which is no file at all where there was nothing to write.
func readContent(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	return content
}

// lastBlock returns the status line and the fields of the last response: those before are interim ones.
func lastBlock(t *testing.T, file string) []string {
	t.Helper()
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	blocks := strings.Split(strings.TrimSuffix(string(written), "\r\n\r\n"), "\r\n\r\n")
	var lines []string
	scanner := bufio.NewScanner(strings.NewReader(blocks[len(blocks)-1]))
	for scanner.Scan() {
		lines = append(lines, strings.TrimSuffix(scanner.Text(), "\r"))
	}
	return lines
}

func lastStatus(t *testing.T, file string) int {
	t.Helper()
	status, err := strconv.Atoi(strings.Fields(lastBlock(t, file)[0])[1])
	require.NoError(t, err)
	return status
}

func lastFields(t *testing.T, file string) (fields [][2]string) {
	t.Helper()
	for _, line := range lastBlock(t, file)[1:] {
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, [2]string{name, strings.TrimSpace(value)})
	}
	return fields
}
