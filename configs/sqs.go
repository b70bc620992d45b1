package configs

import (
	"regexp"
	"strings"
)

// SQS says how to reach Amazon SQS. The store beside it is Redis. Credentials are found where AWS tools look for them.
type SQS struct {
	Region       string `koanf:"region"`        // empty: as AWS's own tools find it
	Endpoint     string `koanf:"endpoint"`      // a URL; empty: that of the region
	CreateQueues bool   `koanf:"create_queues"` // that are missing
}

func (s *SQS) validate(v *validator) {
	if s.Endpoint != "" {
		validateURL(v, "sqs.endpoint", s.Endpoint)
	}
}

// sqsName is what may name a queue of SQS, which allows 80 characters. We append a suffix.
var sqsName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,75}$`)

func sqsNameFault(name string) string {
	switch {
	case strings.HasSuffix(name, ".fifo"):
		return "must not be a FIFO queue: it drops retries within 5 minutes, and blocks messages behind one that is handled"
	case !sqsName.MatchString(name):
		return "must be 1 to 75 of A-Z a-z 0-9 _ - to name a queue of SQS"
	default:
		return ""
	}
}

func (s *SQS) asciiNames() { s.Endpoint = asciiURL(s.Endpoint) }
