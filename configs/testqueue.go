//go:build testqueue

package configs

import "time"

// The test build has one more queue: a carrier in the memory of one process. See "Write a backend" in ports/README.md.
func init() { //nolint:gochecknoinits // the table is whole without it
	queueTypes = append(queueTypes, queueType{
		name: "memory", store: storeRedis, private: true, highSuffix: ".high",
		lease: func(c *Config) time.Duration { return c.Queue.Lease },
	})
}
