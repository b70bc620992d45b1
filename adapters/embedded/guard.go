package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// What clients send is nobody else's business.
const (
	privateFile      fs.FileMode = 0o600
	privateDirectory fs.FileMode = 0o700
)

// lostAndFound is at the root of a file system. Only root may read it.
const lostAndFound = "lost+found"

// guardDirectory refuses a data directory that another user could redirect or read: one that is a symbolic link, or
// that belongs to another user.
func guardDirectory(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("read data directory: %w", err)
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("data directory %s is a symbolic link: set embedded.dir to the directory that it leads to", dir)
	case !info.IsDir():
		return fmt.Errorf("data directory %s is not a directory", dir)
	case !trustedOwner(info):
		return fmt.Errorf("data directory %s belongs to another user: change its owner, or choose another embedded.dir", dir)
	}
	return nil
}

// guardFiles refuses links in a data directory, and takes the permissions of other users away from all that is there.
// The directory itself may be root's, as that of a mounted volume often is, and then stays as it is.
func guardFiles(dir string) error {
	if err := walk(dir, refuseLink); err != nil {
		return err
	}
	return walk(dir, func(path string, entry fs.DirEntry) error {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the process that has the directory open has just deleted it
		}
		if err != nil {
			return fmt.Errorf("read data directory: %w", err)
		}
		mode := privateFile
		if info.IsDir() {
			mode = privateDirectory
		}
		if info.Mode().Perm()&^mode == 0 {
			return nil
		}
		if err := os.Chmod(path, mode); err != nil && path != dir {
			return fmt.Errorf("make data directory private: %w", err)
		}
		return nil
	})
}

func refuseLink(path string, entry fs.DirEntry) error {
	if entry.IsDir() || entry.Type().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s in the data directory is not a regular file: links are not followed; "+
		"put the file there itself", path)
}

// walk visits a directory and all in it.
func walk(dir string, visit func(path string, entry fs.DirEntry) error) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case entry != nil && path != dir && entry.Name() == lostAndFound:
			return fs.SkipDir
		case errors.Is(err, fs.ErrNotExist) && path != dir:
			return nil
		case err != nil:
			return fmt.Errorf("read data directory: %w", err)
		}
		return visit(path, entry)
	})
}
