package server

import (
	"math/rand/v2"
	"os"
	"strconv"
)

// ConsumerName returns a name that no other consumer has, and that shows an operator where it runs.
func ConsumerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strconv.Itoa(os.Getpid()) + "-" + Unique()
}

// Unique returns a short text that is not used twice.
func Unique() string { return strconv.FormatUint(rand.Uint64(), 36) }
