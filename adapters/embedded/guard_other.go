//go:build !unix

package embedded

import "io/fs"

// trustedOwner always returns true: owners are not compared on this platform.
func trustedOwner(fs.FileInfo) bool { return true }

// makePrivate does nothing: the directory's access control list applies.
func makePrivate(uintptr) error { return nil }
