//go:build unix

package embedded

import (
	"io/fs"
	"os"
	"syscall"
)

// trustedOwner reports whether a directory belongs to this user or to root, who can read everything anyway and owns
// most mounted volumes.
func trustedOwner(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
}

// makePrivate takes the permissions of other users away from an open file.
func makePrivate(fd uintptr) error { return syscall.Fchmod(int(fd), uint32(privateFile)) }
