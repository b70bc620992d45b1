package bootstrap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/domain/outage"
)

// rotations read files with secrets and certificates again when they change, so that new ones need no restart. They
// compare contents, because platforms replace files in many ways: Kubernetes changes the target of a symbolic link.
type rotations struct {
	logger *slog.Logger

	mu  sync.Mutex // held while files are read and their content is put to use
	all []*rotation
}

// rotation is something whose secrets and certificates are in files.
type rotation struct {
	what  string       // for the log
	files []string     // at least one
	apply func() error // reads the files and uses what they hold; after an error all is as it was

	used    []content // what is in use
	seen    []content // in the last look
	refused []content // what cannot be used, and has been logged
}

// content stands for what a file holds, without keeping it.
type content struct {
	sum  [sha256.Size]byte
	size int // in bytes; -1: the file cannot be read
}

// rotationPause is the time between two looks. A change counts when two looks in a row see the same, because the first
// may see a file that is being written. So a change is in use after twice this time.
const rotationPause = 2 * time.Second

func newRotations(logger *slog.Logger) *rotations { return &rotations{logger: logger} }

// newRotation begins with what the files hold now, so it comes before they are read for the first time.
func newRotation(what string, files []string, apply func() error) *rotation {
	return &rotation{what: what, files: files, apply: apply, used: contentsOf(files)}
}

// add adds a rotation. Without files it does nothing. It must be called while the process is being built.
func (r *rotations) add(what string, files []string, apply func() error) {
	if len(files) > 0 {
		r.all = append(r.all, newRotation(what, files, apply))
	}
}

// replace replaces some rotations. It is called with mu held.
func (r *rotations) replace(old, current []*rotation) {
	r.all = slices.DeleteFunc(r.all, func(one *rotation) bool { return slices.Contains(old, one) })
	r.all = append(r.all, current...)
}

// runRotations runs them while the process does: a reload may add the first.
func runRotations(lc fx.Lifecycle, s *supervisor, r *rotations) {
	var running *loop
	lc.Append(fx.StartStopHook(
		func() { running = s.start("rotation of secrets", r.run) },
		func(ctx context.Context) error { return running.end(ctx) },
	))
}

// run looks at the files until ctx ends.
func (r *rotations) run(ctx context.Context) error {
	for outage.Sleep(ctx, rotationPause) {
		r.lookAtAll()
	}
	return nil
}

func (r *rotations) lookAtAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		r.look(one)
	}
}

func (r *rotations) look(one *rotation) {
	now := contentsOf(one.files)
	settled := slices.Equal(now, one.seen)
	one.seen = now
	switch {
	case slices.Equal(now, one.used):
		one.refused = nil
	case !settled, slices.Equal(now, one.refused):
	default:
		if err := one.replace(now); err != nil {
			one.refused = now
			r.logger.Warn("cannot use changed files with secrets or certificates; the old values stay in use",
				"of", one.what, "error", err)
			return
		}
		one.used, one.refused = now, nil
		r.logger.Info("files with secrets or certificates have changed; the new values are in use", "of", one.what)
	}
}

// replace refuses an emptied file, because whoever empties a file is about to write it.
func (one *rotation) replace(now []content) error {
	for i, file := range one.files {
		switch _, err := readRegular(file); {
		case err != nil:
			return err
		case now[i].size == 0 && one.used[i].size != 0:
			return fmt.Errorf("%s is empty", file)
		}
	}
	return one.apply()
}

func contentsOf(files []string) []content {
	contents := make([]content, len(files))
	for i, file := range files {
		contents[i] = contentOf(file)
	}
	return contents
}

// maxWatched bounds what is read of a file, in bytes. The authorities of all the world are about 250 KiB.
const maxWatched = 4 << 20

func contentOf(path string) content {
	data, err := readRegular(path)
	if err != nil {
		return content{size: -1}
	}
	return content{sum: sha256.Sum256(data), size: len(data)}
}

var errNotRegular = errors.New("not a regular file")

// readRegular refuses anything but a file: reading from a pipe could block for ever.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errNotRegular}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var data bytes.Buffer
	_, err = io.Copy(&data, io.LimitReader(file, maxWatched))
	return data.Bytes(), err
}
