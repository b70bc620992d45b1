package bootstrap

import (
	"fmt"
	"runtime"
	"syscall"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/configs"
)

// descriptors are the file descriptors that parts of this process may use, so that connections of clients leave enough
// for everything else.
type descriptors struct {
	clients  int // connections on the main address, and as many on the transparent one
	admins   int // connections on the administrative address
	database int // files that the embedded database keeps open
	idle     int // unused connections that are kept for each endpoint
	redis    int // connections to Redis, without the few that block
}

const (
	// otherFiles are standard streams, listeners, pollers, and files that are open for a moment.
	otherFiles = 32

	// databaseFiles is as many files as the database opens at most; leastDatabaseFiles as few as it can work with. What it
	// writes to comes on top: logs and compactions.
	databaseFiles      = 1000
	leastDatabaseFiles = 74 // 64 tables; see MaxOpenFiles of Pebble
	databaseWrites     = 16

	// brokerConnections are those to brokers and Redis, without the pool of Redis. A broker has a few for each partition
	// leader.
	brokerConnections = 64

	// Of all files, one in lookupShare is for name lookups of calls that begin.
	lookupShare  = 16
	leastLookups = 8

	adminConnections = 1000 // enough for people, probes and scrapers
	leastClients     = 16
)

// newDescriptors shares out the limit of open files. Go has raised it to the hard limit by then (package os). It is an
// error when the configuration needs more.
func newDescriptors(config configs.Config, log *Log) (descriptors, error) {
	files, err := openFiles()
	if err != nil {
		return descriptors{}, err
	}
	d, err := shareDescriptors(files, config)
	if err == nil && d.clients < config.Server.MaxConnections {
		log.Warn("server.max_connections lowered to what the limit of open files (RLIMIT_NOFILE) allows",
			"configured", config.Server.MaxConnections, "connections", d.clients, "open_files", files)
	}
	return d, err
}

// enoughDescriptors returns an error when a configuration needs more files than this process may open.
func enoughDescriptors(config configs.Config) error {
	files, err := openFiles()
	if err == nil {
		_, err = shareDescriptors(files, config)
	}
	return err
}

// openFiles returns how many files this process may open.
func openFiles() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	return int(min(limit.Cur, 1<<30)), nil
}

// shareDescriptors shares out so many files. Each part has what it needs before clients get the rest.
func shareDescriptors(files int, config configs.Config) (descriptors, error) {
	d := dividing(files, config)
	if d.enough(config) {
		return d, nil
	}
	least := files
	for ; !d.enough(config); d = dividing(least, config) {
		least++
	}
	return d, fmt.Errorf("the limit of open files (RLIMIT_NOFILE) is %d and must be %d at least; raise it, or lower "+
		"worker.count", files, least)
}

// enough reports whether clients can work with what is left for them.
func (d *descriptors) enough(config configs.Config) bool {
	return d.clients >= min(leastClients, config.Server.MaxConnections)
}

// dividing returns how so many files are shared out, enough or not.
func dividing(files int, config configs.Config) descriptors {
	d := descriptors{database: min(max(files/4, leastDatabaseFiles), databaseFiles)}
	left := files - otherFiles - d.shareBackends(files, config)
	if config.Queue.Type == configs.QueueEmbedded {
		left -= d.database + databaseWrites
	} else {
		d.redis = min(20*runtime.GOMAXPROCS(0), files/8)
		left -= brokerConnections + d.redis
	}
	addresses := 1
	if config.Proxy.Transparent.Listen != "" {
		addresses++
	}
	left -= addresses * httpapi.SparePlaces
	if config.Server.AdminListen != "" {
		left -= httpapi.SparePlaces
		d.admins = min(max(left/8, leastClients), adminConnections)
		left -= d.admins
	}
	d.clients = min(left/addresses, config.Server.MaxConnections)
	return d
}

// shareBackends returns how many files calls of backends need: a connection each, name lookups that go on at the same
// time, and connections that other endpoints keep.
func (d *descriptors) shareBackends(files int, config configs.Config) int {
	d.idle = config.Worker.Count
	if config.Role == configs.RoleAPI || len(config.Proxy.Endpoints) == 0 {
		return 0
	}
	others := len(config.Proxy.Endpoints) - 1
	if others > 0 {
		d.idle = min(d.idle, max(files/4/others, 1))
	}
	return config.Worker.Count + min(config.Worker.Count, max(files/lookupShare, leastLookups)) + others*d.idle
}
