// Package elasticmq says how to run an ElasticMQ, a server that speaks the protocol of Amazon SQS, for tests and for
// measuring.
package elasticmq

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// settings hold it to the limits of AWS, and let a poll wait for as long as there.
const settings = `
pekko.http.parsing.illegal-header-warnings = off
pekko.http.server.request-timeout = 40 s
pekko.http.server.idle-timeout = 120 s
pekko.coordinated-shutdown.run-by-jvm-shutdown-hook = off
node-address { protocol = http, host = "%[1]s", port = %[2]s, context-path = "" }
rest-sqs { enabled = true, bind-hostname = "%[1]s", bind-port = %[2]s, sqs-limits = strict }
rest-stats { enabled = false }
`

// Configure writes the file of settings of a server that is to listen on an address, host:port, into a directory, and
// returns the arguments that the program of scripts/brokers/ensure takes for it. Further settings come last.
func Configure(dir, address, further string) (args []string, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "elasticmq.conf")
	text := fmt.Sprintf(settings, host, port) + further
	return []string{"-Dconfig.file=" + path}, os.WriteFile(path, []byte(text), 0o600)
}
