package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// SQS is a server that speaks the protocol of Amazon SQS on the loopback interface. It accepts any credentials.
// Starting one takes about a second, so tests that do not disturb it share one.
type SQS struct {
	URL string // the endpoint for clients

	address string
	program string
	args    func(address string) ([]string, error)
	log     *Log
	server  *server

	mu   sync.Mutex
	read map[string][]Message // what Read has received, by queue
}

func sqsCarrier() Carrier {
	return Carrier{
		Name: "sqs", Program: "elasticmq", HighSuffix: "-high", Lease: "OPENHQM_QUEUE_LEASE", Secret: SQSSecret,
		MaxBody: 200 << 10,
		Shared: func(tb testing.TB) Broker {
			tb.Helper()
			return SharedSQS(tb)
		},
		Start: func(tb testing.TB) Broker {
			tb.Helper()
			return StartSQS(tb)
		},
		Run:       runSQS,
		Variables: sqsVariables,
	}
}

func sqsVariables(address, queue string) []string {
	return []string{
		"OPENHQM_QUEUE_TYPE=sqs", "OPENHQM_SQS_ENDPOINT=http://" + address, "OPENHQM_SQS_REGION=" + sqsRegion,
		"OPENHQM_QUEUE_REQUESTS=" + queue, "AWS_ACCESS_KEY_ID=openhqm", "AWS_SECRET_ACCESS_KEY=" + SQSSecret,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// runSQS starts an ElasticMQ that keeps its messages in memory: its disk is no part of what is measured.
func runSQS(opts RunOptions) (Running, error) {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return Running{}, err
	}
	s := newElasticMQ(opts.Program, opts.Dir, "")
	configure := s.args
	s.args = func(address string) ([]string, error) {
		args, err := configure(address)
		return append(strings.Fields(opts.JVM), args...), err
	}
	if err := s.begin(); err != nil {
		s.Kill()
		return Running{}, err
	}
	return Running{Address: s.address, PID: s.server.process.Pid, Close: s.Kill}, nil
}

// Address is where it listens.
func (s *SQS) Address() string { return s.address }

// StartSQS starts an ElasticMQ, which ends with the test. What it has acknowledged survives Kill and Restart: queues
// and messages are in a database on its disk. Where it cannot be fetched the test is skipped; with CI=true it fails.
func StartSQS(tb testing.TB) *SQS {
	tb.Helper()
	dir := tb.TempDir()
	return startSQS(tb, newElasticMQ(requireSQS(tb, elasticMQProgram), dir, fmt.Sprintf(elasticMQStorage, dir)))
}

// StartMoto starts a Moto, another server of that protocol, which ends with the test. Its queues and messages are in
// its memory. Where it cannot be fetched the test is skipped; with CI=true it fails.
func StartMoto(tb testing.TB) *SQS {
	tb.Helper()
	s := &SQS{log: &Log{}, program: requireSQS(tb, motoProgram)}
	s.args = func(address string) ([]string, error) {
		host, port, err := net.SplitHostPort(address)
		return []string{"-H", host, "-p", port}, err
	}
	return startSQS(tb, s)
}

func startSQS(tb testing.TB, s *SQS) *SQS {
	tb.Helper()
	tb.Cleanup(func() {
		s.Kill()
		if tb.Failed() {
			tb.Logf("log of the SQS at %s:\n%s", s.address, s.log.tail())
		}
	})
	require.NoError(tb, s.begin())
	return s
}

// SharedSQS returns an ElasticMQ that all tests of a package share. Its queues and messages are in its memory, which is
// faster. Main ends it.
func SharedSQS(tb testing.TB) *SQS {
	tb.Helper()
	requireSQS(tb, elasticMQProgram)
	s, err := sharedSQS()
	require.NoError(tb, err)
	return s
}

var sharedSQS = sync.OnceValues(func() (*SQS, error) {
	program, err := elasticMQProgram()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "openhqm-sqs")
	if err != nil {
		return nil, err
	}
	s := newElasticMQ(program, dir, "")
	doAtEnd(func() {
		s.Kill()
		_ = os.RemoveAll(dir) // what is left over is in the system's directory for such things
	})
	return s, s.begin()
})

var (
	elasticMQProgram = sync.OnceValues(func() (string, error) { return ensure("elasticmq") })
	motoProgram      = sync.OnceValues(func() (string, error) { return ensure("moto") })
)

func requireSQS(tb testing.TB, program func() (string, error)) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: this test needs a broker")
	}
	return requireProgram(tb, program)
}

// elasticMQStorage makes it keep queues and messages, which it does at a fifth of its speed.
const elasticMQStorage = `
queues-storage { enabled = true, path = "%[1]s/queues.conf" }
messages-storage {
  enabled = true, driver-class = "org.h2.Driver", uri = "jdbc:h2:%[1]s/messages;WRITE_DELAY=0"
  username = "", password = ""
}
`

// elasticMQSettings hold it to the limits of AWS, and let a poll wait for as long as there.
const elasticMQSettings = `
pekko.http.parsing.illegal-header-warnings = off
pekko.http.server.request-timeout = 40 s
pekko.http.server.idle-timeout = 120 s
pekko.coordinated-shutdown.run-by-jvm-shutdown-hook = off
node-address { protocol = http, host = "%[1]s", port = %[2]s, context-path = "" }
rest-sqs { enabled = true, bind-hostname = "%[1]s", bind-port = %[2]s, sqs-limits = strict }
rest-stats { enabled = false }
`

// newElasticMQ makes an ElasticMQ whose files are in a directory. Further settings come last.
func newElasticMQ(program, dir, further string) *SQS {
	s := &SQS{log: &Log{}, program: program}
	s.args = func(address string) ([]string, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, "elasticmq.conf")
		text := fmt.Sprintf(elasticMQSettings, host, port) + further
		return []string{"-Dconfig.file=" + path}, os.WriteFile(path, []byte(text), 0o600)
	}
	return s
}

// begin starts the server on a port that is free when it is chosen, and may be taken before the server has it.
func (s *SQS) begin() error {
	var err error
	for range 3 {
		if s.address, err = chooseAddress(context.Background()); err != nil {
			return err
		}
		s.URL = "http://" + s.address
		if err = s.launch(); err == nil {
			return nil
		}
		s.Kill()
	}
	return err
}

// launch starts the process and waits until it serves.
func (s *SQS) launch() error {
	args, err := s.args(s.address)
	if err != nil {
		return err
	}
	if s.server, err = runServer(s.log, s.program, args...); err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if s.server.await(context.Background(), func(ctx context.Context) bool { return answers(ctx, client, s.URL) }) {
		return nil
	}
	return errors.New("the server does not serve: " + s.log.tail())
}

// answers reports whether an HTTP server says anything.
func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil
}

// Kill ends it with SIGKILL, and waits until it is gone; again it does nothing.
func (s *SQS) Kill() {
	if s.server != nil {
		s.server.end(syscall.SIGKILL)
	}
}

// Restart starts it again after Kill, on the same port, and waits until it serves.
func (s *SQS) Restart(tb testing.TB) {
	tb.Helper()
	require.NoError(tb, s.launch())
}
