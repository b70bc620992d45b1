package testkit

import (
	"syscall"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// LimitFiles sets how many files the process may have open, and returns how many it might before. Those that are open
// stay open.
func (p *Process) LimitFiles(n uint64) (before uint64) { return p.limit(syscall.RLIMIT_NOFILE, n) }

// LimitFileSize sets how large the files may become that the process writes, in bytes.
func (p *Process) LimitFileSize(n uint64) { p.limit(syscall.RLIMIT_FSIZE, n) }

// limit sets a limit of the process and returns what it was before.
func (p *Process) limit(resource uintptr, n uint64) (before uint64) {
	p.tb.Helper()
	var old syscall.Rlimit
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), resource, 0,
		uintptr(unsafe.Pointer(&old)), 0, 0) //nolint:gosec // how the system call takes it
	require.Zero(p.tb, errno)
	limit := syscall.Rlimit{Cur: n, Max: old.Max} // only root may raise it again
	_, _, errno = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), resource,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0) //nolint:gosec // how the system call takes it
	require.Zero(p.tb, errno)
	return old.Cur
}
