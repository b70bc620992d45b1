package bootstrap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/openhqm/openhqm/configs"
)

// Check adds to the faults of a configuration, if it has any, what a start would find wrong with it without the
// network: secrets, files, and memory that is not enough. Its error is a *configs.Error that names everything, or nil.
func Check(config configs.Config, faults error) error {
	var ofQueue error
	if check, has := checks[config.Queue.Type]; has {
		ofQueue = check(config)
	}
	return configs.Join(faults, config.Resolve(), ofQueue, checkMemory(config, faults))
}

// blames reports whether faults are in one of these keys, so that nothing can be computed with them.
func blames(faults error, keys ...string) bool {
	found, ok := errors.AsType[*configs.Error](faults)
	return ok && found.Blames(keys...)
}

// checkMemory compares sizes with the memory that the process may have.
func checkMemory(config configs.Config, faults error) error {
	if blames(faults, "worker.max_bytes", "server.max_body_size", "proxy.max_response_size") {
		return nil
	}
	_, err := newMemoryBudgets(config)
	return err
}

// CheckMachine adds to the faults of a configuration, if it has any, what a start would miss on this machine: open
// files, and a directory that it may write to.
func CheckMachine(config configs.Config, faults error) error {
	return configs.Join(faults, checkFiles(config, faults), checkDirectory(config, faults))
}

func checkFiles(config configs.Config, faults error) error {
	if blames(faults, "worker.count", "server.max_connections") {
		return nil
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	_, err := shareDescriptors(int(min(limit.Cur, 1<<30)), config)
	return err
}

// checkDirectory looks at the data directory or, before the first start, at what it would be made in.
func checkDirectory(config configs.Config, faults error) error {
	if config.Queue.Type != configs.QueueEmbedded || blames(faults, "embedded.dir", "queue.type") {
		return nil
	}
	const key = "embedded.dir"
	dir, err := filepath.Abs(config.Embedded.Dir)
	if err != nil {
		return config.Refuse(key, err.Error())
	}
	info, err := os.Stat(dir)
	for errors.Is(err, os.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	switch {
	case err != nil:
		return config.Refuse(key, err.Error())
	case !info.IsDir():
		return config.Refuse(key, dir+" is not a directory")
	case syscall.Access(dir, mayWrite) != nil:
		return config.Refuse(key, dir+" cannot be written to by the user of this process")
	}
	return nil
}

// mayWrite is W_OK and X_OK of access(2).
const mayWrite = 2 | 1
